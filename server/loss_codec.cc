#include "server/loss_codec.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"
#include "server/catalog.h"
#include "server/named_loss.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// Both enums have the same numbers; others than these have been refused.
PredictionKind FromProto(v1::PredictionKind kind) {
  return static_cast<PredictionKind>(kind);
}

v1::PredictionKind ToProto(PredictionKind kind) {
  return static_cast<v1::PredictionKind>(kind);
}

MeanSquaredErrorParams FromProto(const v1::MeanSquaredError& /*loss*/) {
  return {};
}

void ToProto(const MeanSquaredErrorParams& /*params*/, v1::Loss* loss) {
  loss->mutable_mean_squared_error();
}

MeanSquaredLogarithmicErrorParams FromProto(
    const v1::MeanSquaredLogarithmicError& /*loss*/) {
  return {};
}

void ToProto(const MeanSquaredLogarithmicErrorParams& /*params*/,
             v1::Loss* loss) {
  loss->mutable_mean_squared_logarithmic_error();
}

MeanAbsoluteErrorParams FromProto(const v1::MeanAbsoluteError& /*loss*/) {
  return {};
}

void ToProto(const MeanAbsoluteErrorParams& /*params*/, v1::Loss* loss) {
  loss->mutable_mean_absolute_error();
}

HuberParams FromProto(const v1::Huber& loss) {
  HuberParams params;
  if (loss.has_delta()) params.delta = loss.delta();
  return params;
}

void ToProto(const HuberParams& params, v1::Loss* loss) {
  loss->mutable_huber()->set_delta(params.delta);
}

BinaryCrossEntropyParams FromProto(const v1::BinaryCrossEntropy& loss) {
  BinaryCrossEntropyParams params;
  params.prediction_kind = FromProto(loss.prediction_kind());
  if (loss.has_label_smoothing()) {
    params.label_smoothing = loss.label_smoothing();
  }
  if (loss.has_pos_weight()) params.pos_weight = loss.pos_weight();
  return params;
}

void ToProto(const BinaryCrossEntropyParams& params, v1::Loss* loss) {
  v1::BinaryCrossEntropy* typed = loss->mutable_binary_cross_entropy();
  typed->set_prediction_kind(ToProto(params.prediction_kind));
  typed->set_label_smoothing(params.label_smoothing);
  typed->set_pos_weight(params.pos_weight.value_or(1));
}

HingeParams FromProto(const v1::Hinge& loss) {
  return {loss.label_encoding() == v1::LABEL_ENCODING_ZERO_ONE
              ? LabelEncoding::kZeroOne
              : LabelEncoding::kPlusMinusOne};
}

void ToProto(const HingeParams& params, v1::Loss* loss) {
  loss->mutable_hinge()->set_label_encoding(
      params.label_encoding == LabelEncoding::kZeroOne
          ? v1::LABEL_ENCODING_ZERO_ONE
          : v1::LABEL_ENCODING_PLUS_MINUS_ONE);
}

CategoricalCrossEntropyParams FromProto(
    const v1::CategoricalCrossEntropy& loss) {
  CategoricalCrossEntropyParams params;
  params.prediction_kind = FromProto(loss.prediction_kind());
  if (loss.has_label_smoothing()) {
    params.label_smoothing = loss.label_smoothing();
  }
  if (loss.has_z_loss()) params.z_loss = loss.z_loss();
  return params;
}

void ToProto(const CategoricalCrossEntropyParams& params, v1::Loss* loss) {
  v1::CategoricalCrossEntropy* typed =
      loss->mutable_categorical_cross_entropy();
  typed->set_prediction_kind(ToProto(params.prediction_kind));
  typed->set_label_smoothing(params.label_smoothing);
  typed->set_z_loss(params.z_loss);
}

SparseCategoricalCrossEntropyParams FromProto(
    const v1::SparseCategoricalCrossEntropy& loss) {
  SparseCategoricalCrossEntropyParams params;
  params.prediction_kind = FromProto(loss.prediction_kind());
  if (loss.has_ignore_index()) params.ignore_index = loss.ignore_index();
  if (loss.has_label_smoothing()) {
    params.label_smoothing = loss.label_smoothing();
  }
  if (loss.has_z_loss()) params.z_loss = loss.z_loss();
  return params;
}

void ToProto(const SparseCategoricalCrossEntropyParams& params,
             v1::Loss* loss) {
  v1::SparseCategoricalCrossEntropy* typed =
      loss->mutable_sparse_categorical_cross_entropy();
  typed->set_prediction_kind(ToProto(params.prediction_kind));
  if (params.ignore_index) typed->set_ignore_index(*params.ignore_index);
  typed->set_label_smoothing(params.label_smoothing);
  typed->set_z_loss(params.z_loss);
}

KullbackLeiblerDivergenceParams FromProto(
    const v1::KullbackLeiblerDivergence& loss) {
  KullbackLeiblerDivergenceParams params;
  params.prediction_kind = FromProto(loss.prediction_kind());
  if (loss.target_kind() == v1::TARGET_KIND_LOG_PROBABILITIES) {
    params.target_kind = TargetKind::kLogProbabilities;
  }
  return params;
}

void ToProto(const KullbackLeiblerDivergenceParams& params, v1::Loss* loss) {
  v1::KullbackLeiblerDivergence* typed =
      loss->mutable_kullback_leibler_divergence();
  typed->set_prediction_kind(ToProto(params.prediction_kind));
  typed->set_target_kind(params.target_kind == TargetKind::kLogProbabilities
                             ? v1::TARGET_KIND_LOG_PROBABILITIES
                             : v1::TARGET_KIND_PROBABILITIES);
}

LossParams TypedParams(const v1::Loss& loss) {
  switch (loss.kind_case()) {
    case v1::Loss::kMeanSquaredError:
      return FromProto(loss.mean_squared_error());
    case v1::Loss::kMeanSquaredLogarithmicError:
      return FromProto(loss.mean_squared_logarithmic_error());
    case v1::Loss::kMeanAbsoluteError:
      return FromProto(loss.mean_absolute_error());
    case v1::Loss::kHuber:
      return FromProto(loss.huber());
    case v1::Loss::kBinaryCrossEntropy:
      return FromProto(loss.binary_cross_entropy());
    case v1::Loss::kHinge:
      return FromProto(loss.hinge());
    case v1::Loss::kCategoricalCrossEntropy:
      return FromProto(loss.categorical_cross_entropy());
    case v1::Loss::kSparseCategoricalCrossEntropy:
      return FromProto(loss.sparse_categorical_cross_entropy());
    case v1::Loss::kKullbackLeiblerDivergence:
      return FromProto(loss.kullback_leibler_divergence());
    // Resolved or refused before.
    case v1::Loss::kNamed:
    case v1::Loss::KIND_NOT_SET:
      break;
  }
  return {};
}

absl::Status NoLoss(const v1::Loss& loss) {
  const auto& unknown = loss.GetReflection()->GetUnknownFields(loss);
  if (!unknown.empty()) {
    return NotServed({"loss", std::nullopt,
                      absl::StrCat("field ", unknown.field(0).number()),
                      "a loss of ListLosses"});
  }
  return InvalidField(
      {"loss", std::nullopt, "no loss", "a loss of ListLosses"});
}

// Options of a newer client. To ignore one would give another loss than it
// wants.
absl::Status CheckKnown(const Message& options, const std::string& path) {
  const auto& unknown = options.GetReflection()->GetUnknownFields(options);
  if (unknown.empty()) return absl::OkStatus();
  return NotServed({path, std::nullopt,
                    absl::StrCat("field ", unknown.field(0).number()),
                    KnownOptions(*options.GetDescriptor())});
}

// Proto3 lets unknown numbers of an enum through.
absl::Status CheckEnums(const Message& options, const std::string& path) {
  const google::protobuf::Descriptor& type = *options.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) continue;
    const int number = options.GetReflection()->GetEnumValue(options, &field);
    if (field.enum_type()->FindValueByNumber(number) != nullptr) continue;
    return InvalidField(
        {absl::StrCat(path, ".", field.name()), std::nullopt,
         absl::StrCat(number),
         absl::StrJoin(
             field.options().GetExtension(v1::option).allowed_values(), ", ")});
  }
  return absl::OkStatus();
}

}  // namespace

std::string LossName(const v1::Loss& loss) {
  if (loss.kind_case() == v1::Loss::KIND_NOT_SET) return "";
  const FieldDescriptor* member =
      loss.has_named()
          ? Catalog::Get().Find(loss.named().name())
          : loss.GetReflection()->GetOneofFieldDescriptor(
                loss, v1::Loss::descriptor()->FindOneofByName("kind"));
  return member != nullptr ? member->name() : "";
}

absl::StatusOr<DecodedLoss> DecodeLoss(const v1::Loss& loss) {
  if (loss.kind_case() == v1::Loss::KIND_NOT_SET) return NoLoss(loss);
  if (loss.has_named()) {
    absl::StatusOr<v1::Loss> typed = ResolveNamedLoss(loss.named());
    if (!typed.ok()) return typed.status();
    return DecodedLoss{TypedParams(*typed), "loss.named.options"};
  }
  const FieldDescriptor& member =
      *loss.GetReflection()->GetOneofFieldDescriptor(
          loss, v1::Loss::descriptor()->FindOneofByName("kind"));
  std::string path = absl::StrCat("loss.", member.name());
  const Message& options = loss.GetReflection()->GetMessage(loss, &member);
  LOSSD_RETURN_IF_ERROR(CheckKnown(options, path));
  LOSSD_RETURN_IF_ERROR(CheckEnums(options, path));
  return DecodedLoss{TypedParams(loss), std::move(path)};
}

v1::Loss EncodeLoss(const LossParams& params) {
  v1::Loss loss;
  std::visit([&loss](const auto& typed) { ToProto(typed, &loss); }, params);
  return loss;
}

}  // namespace lossd
