#include "tests/integration/messages.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>
#include <map>
#include <optional>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "server/loss_codec.h"

namespace lossd::test {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

v1::Dtype ToProto(Dtype dtype) { return static_cast<v1::Dtype>(dtype); }

v1::Reduction ToProto(Reduction reduction) {
  switch (reduction) {
    case Reduction::kNone:
      return v1::REDUCTION_NONE;
    case Reduction::kSum:
      return v1::REDUCTION_SUM;
    case Reduction::kMean:
      return v1::REDUCTION_MEAN;
    case Reduction::kWeightedMean:
      return v1::REDUCTION_WEIGHTED_MEAN;
    case Reduction::kBatchMean:
      return v1::REDUCTION_BATCHMEAN;
  }
  return v1::REDUCTION_UNSPECIFIED;
}

v1::Semantics ToProto(Semantics semantics) {
  switch (semantics) {
    case Semantics::kStrict:
      return v1::SEMANTICS_STRICT;
    case Semantics::kPytorch:
      return v1::SEMANTICS_PYTORCH;
    case Semantics::kKeras:
      return v1::SEMANTICS_KERAS;
  }
  return v1::SEMANTICS_UNSPECIFIED;
}

v1::Reduction ToProto(std::optional<Reduction> reduction) {
  return reduction ? ToProto(*reduction) : v1::REDUCTION_UNSPECIFIED;
}

template <class T>
void AddIntegers(std::span<const std::byte> bytes, v1::Int64List* list) {
  for (size_t i = 0; i < bytes.size(); i += sizeof(T)) {
    T number;
    std::memcpy(&number, bytes.data() + i, sizeof(T));
    list->add_values(number);
  }
}

void WriteValues(const TensorView& view, v1::Tensor* tensor) {
  const std::span bytes(view.data.data(), view.data.size());
  switch (view.dtype) {
    case Dtype::kInt32:
      return AddIntegers<int32_t>(bytes, tensor->mutable_int_values());
    case Dtype::kInt64:
      return AddIntegers<int64_t>(bytes, tensor->mutable_int_values());
    case Dtype::kBool:
      return AddIntegers<uint8_t>(bytes, tensor->mutable_int_values());
    default:
      for (const double number : Numbers(view.dtype, bytes)) {
        tensor->mutable_values()->add_values(number);
      }
  }
}

void Write(const TensorView& view, Storage storage, v1::Tensor* tensor) {
  tensor->set_dtype(ToProto(view.dtype));
  tensor->mutable_shape()->Add(view.shape.begin(), view.shape.end());
  if (storage == Storage::kValues) return WriteValues(view, tensor);
  tensor->set_data(view.data.data(), view.data.size());
}

ArrayView ViewOf(const TensorView& view) {
  return {ToProto(view.dtype),
          {view.shape.begin(), view.shape.end()},
          view.data.data(),
          view.data.size()};
}

std::vector<double> NumbersOf(const v1::Tensor& tensor) {
  if (tensor.dtype() == v1::DTYPE_UNSPECIFIED) return {};
  if (tensor.has_values()) {
    return {tensor.values().values().begin(), tensor.values().values().end()};
  }
  return Numbers(static_cast<Dtype>(tensor.dtype()),
                 std::as_bytes(std::span(tensor.data())));
}

LossResult Figures(const ClientResult& result) {
  LossResult figures;
  figures.loss = result.loss;
  figures.loss_sum = result.loss_sum;
  figures.weight_sum = result.weight_sum;
  figures.normalizer = result.normalizer;
  figures.row_count = result.row_count;
  figures.masked_count = result.masked_count;
  figures.ignored_count = result.ignored_count;
  figures.clipped_count = result.clipped_count;
  for (const auto& [name, value] : result.diagnostics) {
    figures.diagnostics.push_back({name, value});
  }
  figures.warnings = result.warnings;
  return figures;
}

v1::Loss LossOf(const LossParams& params, const TestCall& call,
                bool with_defaults = false) {
  v1::Loss loss = EncodeLoss(params, with_defaults);
  for (const NamedTensor& extra : call.extra_inputs) {
    ClearReplacedOption(std::string(extra.name), &loss);
  }
  return loss;
}

void AddOption(const Message& options, const FieldDescriptor& field,
               google::protobuf::Struct* named) {
  const google::protobuf::Reflection& reflection = *options.GetReflection();
  google::protobuf::Value& value = (*named->mutable_fields())[field.name()];
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return value.set_number_value(reflection.GetDouble(options, &field));
    case FieldDescriptor::CPPTYPE_INT64:
      return value.set_number_value(
          static_cast<double>(reflection.GetInt64(options, &field)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return value.set_bool_value(reflection.GetBool(options, &field));
    case FieldDescriptor::CPPTYPE_ENUM: {
      const std::string& name = reflection.GetEnum(options, &field)->name();
      return value.set_string_value(
          name.substr(EnumPrefix(*field.enum_type()).size()));
    }
    default:
      ADD_FAILURE() << field.full_name() << " has a type that no option had";
  }
}

}  // namespace

v1::LossItem ItemOf(const TestCall& call, Storage storage) {
  v1::LossItem item;
  *item.mutable_loss() = LossOf(call.spec.params, call);
  item.set_reduction(ToProto(call.spec.reduction));
  item.set_semantics(ToProto(call.spec.semantics));
  if (call.spec.normalizer) item.set_normalizer(*call.spec.normalizer);
  const Inputs& inputs = call.inputs;
  Write(inputs.predictions, storage, item.mutable_predictions());
  if (inputs.targets.dtype != Dtype::kUnspecified) {
    Write(inputs.targets, storage, item.mutable_targets());
  }
  const std::pair<const std::optional<TensorView>&,
                  v1::Tensor* (*)(v1::LossItem&)>
      optional[] = {
          {inputs.sample_weights,
           [](v1::LossItem& to) { return to.mutable_sample_weights(); }},
          {inputs.mask, [](v1::LossItem& to) { return to.mutable_mask(); }},
          {inputs.upstream_gradient,
           [](v1::LossItem& to) { return to.mutable_upstream_gradient(); }}};
  for (const auto& [view, tensor] : optional) {
    if (view) Write(*view, storage, tensor(item));
  }
  for (const NamedTensor& extra : call.extra_inputs) {
    Write(extra.tensor, storage,
          &(*item.mutable_extra_inputs())[std::string(extra.name)]);
  }
  v1::Outputs* outputs = item.mutable_outputs();
  outputs->set_gradient(!call.outputs.gradient.empty());
  outputs->set_gradient_dtype(ToProto(call.outputs.gradient_dtype));
  outputs->set_row_losses(!call.outputs.row_losses.empty());
  outputs->set_diagnostics(call.outputs.diagnostics);
  return item;
}

v1::LossItem ItemOf(const Problem& problem, const Form& form, Storage storage) {
  return ItemOf(TestCall(problem, form), storage);
}

absl::StatusOr<Answer> AnswerOf(const v1::LossResult& result) {
  if (result.status().code() != 0) {
    return absl::Status(static_cast<absl::StatusCode>(result.status().code()),
                        result.status().message());
  }
  const ClientResult figures{
      .loss = result.loss(),
      .loss_sum = result.loss_sum(),
      .weight_sum = result.weight_sum(),
      .normalizer = result.normalizer(),
      .row_count = result.row_count(),
      .masked_count = result.masked_count(),
      .ignored_count = result.ignored_count(),
      .clipped_count = result.clipped_count(),
      .diagnostics = {result.diagnostics().begin(), result.diagnostics().end()},
      .warnings = {result.warnings().begin(), result.warnings().end()}};
  Answer answer{Figures(figures), NumbersOf(result.gradient()),
                NumbersOf(result.row_losses())};
  for (const auto& [name, tensor] : result.extra_gradients()) {
    answer.extra_gradients[name] = NumbersOf(tensor);
  }
  return answer;
}

v1::Loss LossInForce(const Problem& problem) {
  LossParams params = problem.spec.params;
  AllLosses::Resolve(problem.spec.semantics, &params);
  // The documented defaults are those of STRICT.
  return LossOf(params, TestCall(problem, {}),
                problem.spec.semantics == Semantics::kStrict);
}

absl::StatusOr<Answer> Send(const Client& client, const Problem& problem,
                            const Form& form, const ClientCall& compute) {
  const TestCall test(problem, form);
  LossCall call;
  call.loss = LossOf(test.spec.params, test);
  call.reduction = ToProto(test.spec.reduction);
  call.semantics = ToProto(test.spec.semantics);
  call.diagnostics = test.outputs.diagnostics;
  call.normalizer = test.spec.normalizer;
  call.predictions = ViewOf(test.inputs.predictions);
  if (test.inputs.targets.dtype != Dtype::kUnspecified) {
    call.targets = ViewOf(test.inputs.targets);
  }
  const auto set = [](const std::optional<TensorView>& from,
                      std::optional<ArrayView>* to) {
    if (from) *to = ViewOf(*from);
  };
  set(test.inputs.sample_weights, &call.sample_weights);
  set(test.inputs.mask, &call.mask);
  set(test.inputs.upstream_gradient, &call.upstream_gradient);
  for (const NamedTensor& extra : test.extra_inputs) {
    call.extra_inputs[std::string(extra.name)] = ViewOf(extra.tensor);
  }
  // The client writes where the library would have.
  const Dtype gradient_dtype =
      test.outputs.gradient_dtype == Dtype::kUnspecified
          ? test.inputs.predictions.dtype
          : test.outputs.gradient_dtype;
  call.gradient = {ToProto(gradient_dtype), test.outputs.gradient.data(),
                   test.outputs.gradient.size()};
  for (const NamedOutput& extra : test.outputs.extra_gradients) {
    call.extra_gradients[std::string(extra.name)] = {
        ToProto(gradient_dtype), extra.data.data(), extra.data.size()};
  }
  std::vector<double> row_losses(test.outputs.row_losses.size() /
                                 sizeof(double));
  call.row_losses = row_losses;
  const absl::StatusOr<ClientResult> result = compute(client, call, {});
  if (!result.ok()) return result.status();
  Answer answer{Figures(*result),
                Numbers(gradient_dtype, test.outputs.gradient), row_losses};
  for (const NamedOutput& extra : test.outputs.extra_gradients) {
    answer.extra_gradients[std::string(extra.name)] =
        Numbers(gradient_dtype, extra.data);
  }
  return answer;
}

testing::AssertionResult SameAnswers(absl::StatusOr<Answer> a,
                                     absl::StatusOr<Answer> b) {
  for (auto* answer : {&a, &b}) {
    if (!answer->ok()) {
      return testing::AssertionFailure() << answer->status();
    }
    // A map of the proto has no order.
    std::ranges::sort((*answer)->result.diagnostics, {}, &Diagnostic::name);
  }
  const auto counts = [](const Answer& answer) {
    std::map<std::string, size_t> sizes;
    for (const auto& [name, gradient] : answer.extra_gradients) {
      sizes["gradient of " + name] = gradient.size();
    }
    for (const Diagnostic& diagnostic : answer.result.diagnostics) {
      sizes[diagnostic.name] = 1;
    }
    return std::tuple(answer.result.masked_count, answer.result.ignored_count,
                      answer.result.clipped_count, answer.result.warnings,
                      answer.gradient.size(), answer.row_losses.size(), sizes);
  };
  if (counts(*a) != counts(*b)) {
    return testing::AssertionFailure()
           << "masked, ignored, clipped, warnings, sizes: "
           << testing::PrintToString(counts(*a)) << " and "
           << testing::PrintToString(counts(*b));
  }
  return SameBits(*a, *b);
}

testing::AssertionResult SameOutcomes(const absl::StatusOr<Answer>& a,
                                      const absl::StatusOr<Answer>& b) {
  if (a.ok() || b.ok()) return SameAnswers(a, b);
  if (a.status().code() == b.status().code()) {
    return testing::AssertionSuccess();
  }
  return testing::AssertionFailure() << a.status() << " and " << b.status();
}

std::string BytesOf(const Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

void ClearReplacedOption(const std::string& input, v1::Loss* loss) {
  Message* options = MutableOptions(loss);
  for (const std::string& name : {input, input.substr(0, input.size() - 1)}) {
    const FieldDescriptor* option =
        options->GetDescriptor()->FindFieldByName(name);
    if (option != nullptr)
      options->GetReflection()->ClearField(options, option);
  }
}

std::vector<int64_t> RowShapeOf(const Problem& problem) {
  TestCall call(problem, {});
  call.inputs.extra_inputs = call.extra_inputs;
  const auto shapes = ShapesOfOutputs(call.spec, call.inputs);
  EXPECT_TRUE(shapes.ok()) << shapes.status();
  return shapes.ok() ? shapes->rows : std::vector<int64_t>();
}

v1::NamedLoss NamedLossOf(const std::string& name, const v1::Loss& typed) {
  v1::NamedLoss named;
  named.set_name(name);
  v1::Loss copy = typed;
  const Message& options = *MutableOptions(&copy);
  std::vector<const FieldDescriptor*> set;
  options.GetReflection()->ListFields(options, &set);
  for (const FieldDescriptor* field : set) {
    AddOption(options, *field, named.mutable_options());
  }
  return named;
}

std::vector<const FieldDescriptor*> LossMembers() {
  const google::protobuf::OneofDescriptor& kind =
      *v1::Loss::descriptor()->FindOneofByName("kind");
  std::vector<const FieldDescriptor*> members;
  for (int i = 0; i < kind.field_count(); ++i) {
    if (kind.field(i)->name() != "named") members.push_back(kind.field(i));
  }
  return members;
}

Message* MutableOptions(v1::Loss* loss) {
  const google::protobuf::Reflection& reflection = *loss->GetReflection();
  return reflection.MutableMessage(
      loss, reflection.GetOneofFieldDescriptor(
                *loss, v1::Loss::descriptor()->FindOneofByName("kind")));
}

std::string EnumPrefix(const EnumDescriptor& type) {
  // The value 0 is PREFIX_UNSPECIFIED.
  const std::string& unspecified = type.FindValueByNumber(0)->name();
  return unspecified.substr(0, unspecified.rfind('_') + 1);
}

}  // namespace lossd::test
