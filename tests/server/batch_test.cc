// Requests and replies as messages, without a socket.

#include "server/batch.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <array>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <span>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/core/numerics.h"
#include "tests/server/batch_calls.h"
#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using test::BytesOf;
using test::Compute;
using test::ExpectRefused;
using test::kMse;
using test::Parse;

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

constexpr char kPredictions[] =
    "predictions { values { values: [0.5, -1, 3, 0.25] } }";
constexpr char kTargets[] = "targets { values { values: [0, 1, 2.5, 0.25] } }";

BatchLimits Limits() {
  return {.threads = 1, .max_items = 16, .max_message_bytes = 1 << 20};
}

absl::StatusOr<v1::ComputeResponse> Compute(const v1::ComputeRequest& request,
                                            const BatchLimits& limits) {
  Metrics metrics(1);
  return Compute(request, limits, metrics);
}

absl::StatusOr<v1::ComputeResponse> Compute(const std::string& request) {
  return Compute(Parse<v1::ComputeRequest>(request), Limits());
}

// The result of a request with this one item.
v1::LossResult ComputeItem(const v1::LossItem& item) {
  v1::ComputeRequest request;
  *request.add_items() = item;
  const auto response = Compute(request, Limits());
  EXPECT_THAT(response, IsOk());
  EXPECT_EQ(response->results_size(), 1);
  return response->results(0);
}

v1::LossResult ComputeItem(const std::string& item) {
  return ComputeItem(Parse<v1::LossItem>(item));
}

template <class T>
std::vector<T> Numbers(const std::string& bytes) {
  std::vector<T> numbers(bytes.size() / sizeof(T));
  std::memcpy(numbers.data(), bytes.data(), bytes.size());
  return numbers;
}

TEST(BatchTest, AnEmptyRequest) {
  const auto response = Compute("");
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->results_size(), 0);
  EXPECT_EQ(response->numerics_version(), NumericsVersion());
}

TEST(BatchTest, AnotherNumericsVersionIsRefusedWhole) {
  EXPECT_THAT(Compute("numerics_version: 'other' items {}"),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       AllOf(HasSubstr("other"),
                             HasSubstr(std::string(NumericsVersion())),
                             HasSubstr(LOSSD_VERSION))));
  EXPECT_THAT(Compute(absl::StrCat("numerics_version: '",
                                   std::string(NumericsVersion()), "'")),
              IsOk());
}

TEST(BatchTest, ABadItemFailsAlone) {
  const auto response = Compute(absl::StrCat(
      "defaults {", kPredictions, kTargets, "} items {", kMse,
      "} items { loss { huber { delta: 0 } } } items {", kMse, "}"));
  ASSERT_THAT(response, IsOk());
  ASSERT_EQ(response->results_size(), 3);
  EXPECT_EQ(response->results(0).status().code(), 0);
  ExpectRefused(response->results(1), absl::StatusCode::kInvalidArgument,
                "loss.huber.delta");
  EXPECT_EQ(response->results(2).loss(), response->results(0).loss());
}

TEST(BatchTest, ItemsCompleteTheDefaultsFieldByField) {
  const auto response = Compute(absl::StrCat(
      "defaults { loss { huber { delta: 1 } } reduction: REDUCTION_SUM",
      " outputs { gradient: true }", kPredictions, kTargets, "}", "items {}",
      "items { loss { huber {} } }",
      "items { reduction: REDUCTION_MEAN normalizer: 2 }",
      "items { outputs {} }",
      "items { targets { values { values: [0.5, -1, 3, 0.25] } } }"));
  ASSERT_THAT(response, IsOk());
  const auto& results = response->results();
  ASSERT_EQ(results.size(), 5);
  EXPECT_EQ(results[0].loss(), 1.75);
  EXPECT_EQ(results[0].reduction(), v1::REDUCTION_SUM);
  EXPECT_EQ(results[0].gradient().values().values_size(), 4);
  // A message replaces the default's whole, here with the library's default.
  EXPECT_EQ(results[1].loss_in_force().huber().delta(), 1);
  EXPECT_EQ(results[2].loss(), 0.875);
  EXPECT_EQ(results[2].normalizer(), 2);
  EXPECT_FALSE(results[3].has_gradient());
  EXPECT_EQ(results[4].loss(), 0);
}

TEST(BatchTest, ExtraInputsAreCompletedKeyByKey) {
  const auto response = Compute(
      "defaults { loss { binary_cross_entropy { prediction_kind:"
      "  PREDICTION_KIND_LOGITS } }"
      "  predictions { shape: [1, 2] values { values: [0, 0] } }"
      "  targets { shape: [1, 2] values { values: [1, 1] } }"
      "  extra_inputs { key: 'pos_weight' value {"
      "    values { values: [2, 4] } } } }"
      "items {}"
      "items { extra_inputs { key: 'pos_weight' value {"
      "  values { values: [1, 1] } } } }"
      "items { extra_inputs { key: 'class_weights' value {"
      "  values { values: [1, 1] } } } }");
  ASSERT_THAT(response, IsOk());
  const auto& results = response->results();
  EXPECT_DOUBLE_EQ(results[0].loss(), 3 * std::log(2));
  EXPECT_DOUBLE_EQ(results[1].loss(), std::log(2));
  // The vector was in force, not the option of that name.
  EXPECT_FALSE(
      results[0].loss_in_force().binary_cross_entropy().has_pos_weight());
  ExpectRefused(results[2], absl::StatusCode::kInvalidArgument,
                "extra_inputs.class_weights");
}

TEST(BatchTest, NamedLossesEqualTypedOnes) {
  const auto response = Compute(
      absl::StrCat("defaults {", kPredictions, kTargets, "}",
                   "items { loss { huber { delta: 0.25 } } }",
                   "items { loss { named { name: 'huber' options { fields {"
                   "  key: 'delta' value { number_value: 0.25 } } } } } }"));
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->results(0).SerializeAsString(),
            response->results(1).SerializeAsString());
}

TEST(BatchTest, EchoesWhatWasInForce) {
  const v1::LossResult result = ComputeItem(absl::StrCat(
      "loss { named { name: 'bce' options { fields { key: 'prediction_kind' ",
      "value { string_value: 'LOGITS' } } } } } ",
      "predictions { values { values: [1, 2] } } ",
      "targets { values { values: [1, 0] } }"));
  const v1::BinaryCrossEntropy& bce =
      result.loss_in_force().binary_cross_entropy();
  EXPECT_EQ(bce.prediction_kind(), v1::PREDICTION_KIND_LOGITS);
  EXPECT_TRUE(bce.has_label_smoothing());
  EXPECT_EQ(bce.label_smoothing(), 0);
  EXPECT_EQ(bce.pos_weight(), 1);
  EXPECT_EQ(result.reduction(), v1::REDUCTION_MEAN);
  EXPECT_EQ(result.semantics(), v1::SEMANTICS_STRICT);
}

TEST(BatchTest, DataInDataOut) {
  v1::LossItem item = Parse<v1::LossItem>(
      absl::StrCat(kMse, "predictions { dtype: DTYPE_FLOAT32 shape: [2, 2] }",
                   "targets { dtype: DTYPE_FLOAT32 shape: [2, 2] }",
                   "outputs { gradient: true row_losses: true }"));
  item.mutable_predictions()->set_data(BytesOf<float>({1, 2, 3, 4}));
  item.mutable_targets()->set_data(BytesOf<float>({1, 2, 3, 0}));
  const v1::LossResult result = ComputeItem(item);
  EXPECT_EQ(result.loss(), 4);
  EXPECT_EQ(result.gradient().dtype(), v1::DTYPE_FLOAT32);
  EXPECT_THAT(result.gradient().shape(), ElementsAre(2, 2));
  EXPECT_THAT(Numbers<float>(result.gradient().data()),
              ElementsAre(0, 0, 0, 2));
  EXPECT_EQ(result.row_losses().dtype(), v1::DTYPE_FLOAT64);
  EXPECT_THAT(result.row_losses().shape(), ElementsAre(2));
  EXPECT_THAT(Numbers<double>(result.row_losses().data()), ElementsAre(0, 8));

  item.mutable_outputs()->set_gradient_dtype(v1::DTYPE_FLOAT64);
  const v1::LossResult in_double = ComputeItem(item);
  EXPECT_EQ(in_double.gradient().dtype(), v1::DTYPE_FLOAT64);
  EXPECT_THAT(Numbers<double>(in_double.gradient().data()),
              ElementsAre(0, 0, 0, 2));
}

TEST(BatchTest, ListsInListsOut) {
  const v1::LossResult result = ComputeItem(
      absl::StrCat(kMse, "predictions { dtype: DTYPE_FLOAT32 shape: [2, 2] ",
                   "int_values { values: [1, 2, 3, 4] } }",
                   "targets { shape: [2, 2] values { values: [1, 2, 3, 0] } }",
                   "outputs { gradient: true row_losses: true }"));
  EXPECT_EQ(result.gradient().dtype(), v1::DTYPE_FLOAT32);
  EXPECT_THAT(result.gradient().shape(), ElementsAre(2, 2));
  EXPECT_THAT(result.gradient().values().values(), ElementsAre(0, 0, 0, 2));
  EXPECT_THAT(result.row_losses().values().values(), ElementsAre(0, 8));
}

TEST(BatchTest, ListsBringTheirDtypeAndShape) {
  const v1::LossResult result = ComputeItem(
      "loss { sparse_categorical_cross_entropy { prediction_kind:"
      "  PREDICTION_KIND_LOGITS } }"
      "predictions { shape: [2, 2] values { values: [0, 0, 0, 0] } }"
      "targets { int_values { values: [0, 1] } }"
      "mask { dtype: DTYPE_BOOL int_values { values: [1, 0] } }"
      "sample_weights { dtype: DTYPE_FLOAT32 values { values: [2, 1] } }"
      "upstream_gradient { values { values: 3 } }"
      "outputs { gradient: true }");
  EXPECT_DOUBLE_EQ(result.loss(), 2 * std::log(2)) << result.DebugString();
  EXPECT_EQ(result.masked_count(), 1);
  EXPECT_EQ(result.gradient().dtype(), v1::DTYPE_FLOAT64);
  EXPECT_THAT(result.gradient().values().values(), ElementsAre(-3, 3, 0, 0));
}

// 0.1 lies between two numbers of either type; 1/3 of bfloat16 is rounded up.
TEST(BatchTest, ListsOfHalfTypesAreRoundedToNearest) {
  for (const auto& [dtype, tenth, third] :
       {std::tuple{v1::DTYPE_FLOAT16, 0x1.998p-4, 0x1.554p-2},
        std::tuple{v1::DTYPE_BFLOAT16, 0x1.9ap-4, 0x1.56p-2}}) {
    v1::LossItem item = Parse<v1::LossItem>(absl::StrCat(
        "loss { mean_absolute_error {} }",
        "predictions { values { values: [0.1, 0.333333333, -256] } }",
        "targets { values { values: [0, 0, 0] } }",
        "reduction: REDUCTION_NONE outputs { gradient: true }"));
    item.mutable_predictions()->set_dtype(dtype);
    const v1::LossResult result = ComputeItem(item);
    EXPECT_EQ(result.status().code(), 0) << result.DebugString();
    EXPECT_THAT(result.row_losses().values().values(),
                ElementsAre(tenth, third, 256));
    EXPECT_EQ(result.gradient().dtype(), dtype);
    EXPECT_THAT(result.gradient().values().values(), ElementsAre(1, 1, -1));
  }
}

TEST(BatchTest, HalfTypesInData) {
  v1::LossItem item = Parse<v1::LossItem>(
      absl::StrCat(kMse, "predictions { dtype: DTYPE_FLOAT16 shape: [2, 2] }",
                   "targets { dtype: DTYPE_BFLOAT16 shape: [2, 2] }",
                   "outputs { gradient: true }"));
  // 1, 2, 3, 4 and 1, 2, 3, 0.
  item.mutable_predictions()->set_data(
      BytesOf<uint16_t>({0x3c00, 0x4000, 0x4200, 0x4400}));
  item.mutable_targets()->set_data(
      BytesOf<uint16_t>({0x3f80, 0x4000, 0x4040, 0}));
  const v1::LossResult result = ComputeItem(item);
  EXPECT_EQ(result.loss(), 4);
  EXPECT_EQ(result.gradient().dtype(), v1::DTYPE_FLOAT16);
  EXPECT_THAT(Numbers<uint16_t>(result.gradient().data()),
              ElementsAre(0, 0, 0, 0x4000));
  item.mutable_outputs()->set_gradient_dtype(v1::DTYPE_BFLOAT16);
  EXPECT_EQ(ComputeItem(item).gradient().dtype(), v1::DTYPE_BFLOAT16);
}

// What the semantics decides is echoed, whether or not it was said.
TEST(BatchTest, SemanticsDecideWhatIsUnset) {
  const std::string tensors =
      "predictions { shape: [2, 2] values { values: [0.25, 0.75, 0.5, 0.5] } }"
      "targets { int_values { values: [0, 1] } }"
      "extra_inputs { key: 'class_weights' value {"
      "  values { values: [1, 3] } } }";
  const std::string scce = "loss { sparse_categorical_cross_entropy {} }";
  const v1::LossResult pytorch =
      ComputeItem(absl::StrCat(scce, tensors, "semantics: SEMANTICS_PYTORCH"));
  EXPECT_EQ(pytorch.semantics(), v1::SEMANTICS_PYTORCH);
  EXPECT_EQ(pytorch.reduction(), v1::REDUCTION_WEIGHTED_MEAN);
  EXPECT_EQ(pytorch.normalizer(), 4);
  const auto& options =
      pytorch.loss_in_force().sparse_categorical_cross_entropy();
  EXPECT_EQ(options.prediction_kind(), v1::PREDICTION_KIND_LOGITS);
  EXPECT_EQ(options.ignore_index(), -100);

  const v1::LossResult keras =
      ComputeItem(absl::StrCat(scce, tensors, "semantics: SEMANTICS_KERAS"));
  EXPECT_EQ(keras.semantics(), v1::SEMANTICS_KERAS);
  EXPECT_EQ(keras.reduction(), v1::REDUCTION_MEAN);
  // The rounding of two logarithms and their sum, of numbers below 2.
  EXPECT_NEAR(keras.loss(), (std::log(4) + 3 * std::log(2)) / 2, 1e-15);
  EXPECT_EQ(keras.loss_in_force()
                .sparse_categorical_cross_entropy()
                .prediction_kind(),
            v1::PREDICTION_KIND_PROBABILITIES);
  EXPECT_FALSE(keras.loss_in_force()
                   .sparse_categorical_cross_entropy()
                   .has_ignore_index());

  ExpectRefused(ComputeItem(absl::StrCat(scce, tensors)),
                absl::StatusCode::kInvalidArgument,
                "loss.sparse_categorical_cross_entropy.prediction_kind");
}

TEST(BatchTest, EveryElementIsARowOfPytorch) {
  const std::string item = absl::StrCat(
      kMse, "predictions { shape: [2, 2] values { values: [1, 2, 3, 4] } }",
      "targets { shape: [2, 2] values { values: [0, 0, 0, 0] } }",
      "outputs { row_losses: true }");
  const v1::LossResult strict = ComputeItem(item);
  EXPECT_EQ(strict.row_count(), 2);
  EXPECT_THAT(strict.row_losses().shape(), ElementsAre(2));
  const v1::LossResult pytorch =
      ComputeItem(item + "semantics: SEMANTICS_PYTORCH");
  EXPECT_EQ(pytorch.row_count(), 4);
  EXPECT_THAT(pytorch.row_losses().shape(), ElementsAre(2, 2));
  EXPECT_THAT(pytorch.row_losses().values().values(), ElementsAre(1, 4, 9, 16));
}

// STRICT refuses it; the others compute what the frameworks do.
TEST(BatchTest, NanPropagatesWithoutAnError) {
  const std::string item = absl::StrCat(
      kMse, "predictions { values { values: [1, nan, 3] } }",
      "targets { values { values: [0, 0, 0] } }",
      "outputs { gradient: true row_losses: true diagnostics: true }");
  ExpectRefused(ComputeItem(item), absl::StatusCode::kInvalidArgument,
                "predictions.values");
  for (const char* semantics : {"SEMANTICS_PYTORCH", "SEMANTICS_KERAS"}) {
    const v1::LossResult result =
        ComputeItem(absl::StrCat(item, "semantics: ", semantics));
    EXPECT_EQ(result.status().code(), 0) << result.DebugString();
    EXPECT_TRUE(std::isnan(result.loss()));
    EXPECT_EQ(result.row_count(), 3);
    const auto& rows = result.row_losses().values().values();
    EXPECT_EQ(rows[0], 1);
    EXPECT_TRUE(std::isnan(rows[1]));
    EXPECT_EQ(rows[2], 9);
    EXPECT_TRUE(std::isnan(result.gradient().values().values(1)));
    EXPECT_EQ(result.gradient().values().values(2), 2);
    EXPECT_EQ(result.diagnostics().at("non_finite_count"), 1);
  }
}

TEST(BatchTest, DiagnosticsComeWhenAskedFor) {
  const std::string item =
      "loss { hinge {} } predictions { values { values: [0.5, -2, 3, -4] } }"
      "targets { values { values: [1, 1, 1, -1] } }";
  EXPECT_EQ(ComputeItem(item).diagnostics_size(), 0);
  const v1::LossResult result =
      ComputeItem(item + "outputs { diagnostics: true gradient: true }");
  EXPECT_EQ(result.diagnostics().at("accuracy"), 0.75);
  EXPECT_EQ(result.diagnostics().at("gradient_max_norm"), 0.25);
  EXPECT_EQ(result.diagnostics().at("non_finite_count"), 0);
  // Norms are those of a gradient that somebody wants.
  EXPECT_EQ(ComputeItem(item + "outputs { diagnostics: true }")
                .diagnostics()
                .count("gradient_max_norm"),
            0U);
}

TEST(BatchTest, TargetsMayBeWeightsOfAFewClasses) {
  const std::string tensors =
      "predictions { shape: [1, 3] values { values: [1, 2, 0.5] } }"
      "targets { shape: [1, 2] values { values: [0.5, 0.25] } }"
      "extra_inputs { key: 'target_indices' value {"
      "  shape: [1, 2] int_values { values: [1, 0] } } }";
  const auto loss = [&](const std::string& options) {
    return ComputeItem(absl::StrCat("loss { categorical_cross_entropy {",
                                    "prediction_kind: PREDICTION_KIND_LOGITS ",
                                    options, "} }", tensors))
        .loss();
  };
  const double lse = std::log(std::exp(1) + std::exp(2) + std::exp(0.5));
  // A few roundings of numbers below 4.
  EXPECT_NEAR(loss(""), 0.5 * (lse - 2) + 0.25 * (lse - 1), 1e-15);
  EXPECT_NEAR(loss("tail_policy: TAIL_POLICY_RENORMALIZE"),
              (2 * (lse - 2) + (lse - 1)) / 3, 1e-15);
  EXPECT_NEAR(loss("tail_policy: TAIL_POLICY_UNIFORM_TAIL"),
              0.5 * (lse - 2) + 0.25 * (lse - 1) + 0.25 * (lse - 0.5), 1e-15);
}

TEST(BatchTest, RowLossesComeWithNone) {
  const v1::LossResult result = ComputeItem(
      absl::StrCat(kMse, kPredictions, kTargets, "reduction: REDUCTION_NONE"));
  EXPECT_EQ(result.status().code(), 0);
  EXPECT_TRUE(std::isnan(result.loss()));
  EXPECT_THAT(result.row_losses().values().values(),
              ElementsAre(0.25, 4, 0.25, 0));
}

struct Refusal {
  const char* name;
  std::string item;
  std::string field;
  absl::StatusCode code = absl::StatusCode::kInvalidArgument;
};

void PrintTo(const Refusal& refusal, std::ostream* out) {
  *out << refusal.name;
}

class RefusedItemTest : public testing::TestWithParam<Refusal> {};

TEST_P(RefusedItemTest, NamesTheFieldOfTheProto) {
  ExpectRefused(ComputeItem(GetParam().item), GetParam().code,
                GetParam().field);
}

std::string With(const std::string& rest) {
  return absl::StrCat(kPredictions, kTargets, rest);
}

std::string Bce(const std::string& options) {
  return absl::StrCat(
      "loss { binary_cross_entropy { prediction_kind: PREDICTION_KIND_LOGITS ",
      options, "} } predictions { values { values: [1, 2] } }",
      "targets { values { values: [1, 0] } }");
}

INSTANTIATE_TEST_SUITE_P(
    InvalidArgument, RefusedItemTest,
    testing::Values(
        Refusal{"no_loss", With(""), "loss"},
        Refusal{"empty_loss", With("loss {}"), "loss"},
        Refusal{"option", With("loss { huber { delta: -1 } }"),
                "loss.huber.delta"},
        Refusal{"named_option",
                With("loss { named { name: 'huber' options { fields { key: "
                     "'delta' value { number_value: -1 } } } } }"),
                "loss.named.options.delta"},
        Refusal{"no_prediction_kind", With("loss { binary_cross_entropy {} }"),
                "loss.binary_cross_entropy.prediction_kind"},
        Refusal{"label_smoothing", Bce("label_smoothing: 2"),
                "loss.binary_cross_entropy.label_smoothing"},
        Refusal{"pos_weight", Bce("pos_weight: nan"),
                "loss.binary_cross_entropy.pos_weight"},
        Refusal{"no_predictions", absl::StrCat(kMse, kTargets), "predictions"},
        Refusal{"no_targets", absl::StrCat(kMse, kPredictions), "targets"},
        Refusal{"no_storage", absl::StrCat(kMse, "predictions {}", kTargets),
                "predictions"},
        Refusal{"no_dtype",
                absl::StrCat(kMse, "predictions { data: '' }", kTargets),
                "predictions.dtype"},
        Refusal{"dtype_of_predictions",
                absl::StrCat(kMse, "predictions { int_values { values: 1 } }",
                             kTargets),
                "predictions.dtype"},
        Refusal{"no_float16",
                absl::StrCat(kMse, "predictions { dtype: DTYPE_FLOAT16 ",
                             "values { values: 65520 } }", kTargets),
                "predictions.values"},
        Refusal{"no_bfloat16",
                absl::StrCat(kMse, "predictions { dtype: DTYPE_BFLOAT16 ",
                             "int_values { values: 257 } }", kTargets),
                "predictions.int_values"},
        Refusal{"data_length",
                absl::StrCat(kMse, "predictions { dtype: DTYPE_FLOAT64 ",
                             "shape: 2 data: '12345678' }", kTargets),
                "predictions.data"},
        Refusal{"list_length",
                absl::StrCat(kMse, "predictions { shape: [2, 3] ",
                             "values { values: 1 } }", kTargets),
                "predictions.values"},
        Refusal{"negative_size",
                absl::StrCat(kMse, "predictions { shape: -1 ",
                             "values { values: 1 } }", kTargets),
                "predictions.shape"},
        Refusal{"overflowing_size",
                absl::StrCat(kMse, "predictions { dtype: DTYPE_FLOAT32 ",
                             "shape: [4294967296, 4294967296] data: '' }",
                             kTargets),
                "predictions.shape"},
        Refusal{"other_shape",
                absl::StrCat(kMse, kPredictions, "targets { shape: [4, 1] ",
                             "values { values: [1, 2, 3, 4] } }"),
                "targets.shape"},
        Refusal{"nan_in_a_list",
                absl::StrCat(kMse, "predictions { values { values: nan } }",
                             "targets { values { values: 1 } }"),
                "predictions.values"},
        Refusal{"label_in_a_list",
                "loss { sparse_categorical_cross_entropy { prediction_kind:"
                " PREDICTION_KIND_LOGITS } } predictions { shape: [1, 3]"
                " values { values: [0, 0, 0] } }"
                "targets { int_values { values: 3 } }",
                "targets.int_values"},
        Refusal{"no_bool",
                With(absl::StrCat(kMse, "mask { dtype: DTYPE_BOOL ",
                                  "int_values { values: [0, 1, 2, 1] } }")),
                "mask.int_values"},
        Refusal{"no_int32",
                With(absl::StrCat(kMse, "mask { dtype: DTYPE_INT32 ",
                                  "int_values { values: 2147483648 } }")),
                "mask.int_values"},
        Refusal{"no_whole_number",
                With(absl::StrCat(kMse, "mask { dtype: DTYPE_INT64 ",
                                  "values { values: 0.5 } }")),
                "mask.values"},
        Refusal{"no_float32",
                With(absl::StrCat(kMse, "sample_weights { dtype: DTYPE_FLOAT32",
                                  " values { values: 1e300 } }")),
                "sample_weights.values"},
        Refusal{"mask_dtype",
                With(absl::StrCat(kMse,
                                  "mask { int_values { values: "
                                  "[1, 1, 1, 1] } }")),
                "mask.dtype"},
        Refusal{"negative_weight",
                With(absl::StrCat(kMse, "reduction: REDUCTION_WEIGHTED_MEAN ",
                                  "sample_weights { values { values: ",
                                  "[1, -1, 1, 1] } }")),
                "sample_weights.values"},
        Refusal{"upstream_shape",
                With(absl::StrCat(kMse, "upstream_gradient { values { values: ",
                                  "[1, 1, 1, 1] } }")),
                "upstream_gradient.shape"},
        Refusal{"normalizer", With(absl::StrCat(kMse, "normalizer: 0")),
                "normalizer"},
        Refusal{
            "normalizer_of_a_sum",
            With(absl::StrCat(kMse, "normalizer: 1 reduction: REDUCTION_SUM")),
            "normalizer"},
        Refusal{"extra_input",
                With(absl::StrCat(kMse, "extra_inputs { key: 'x' value { ",
                                  "values { values: 1 } } }")),
                "extra_inputs.x"},
        Refusal{"class_weights",
                "loss { categorical_cross_entropy { prediction_kind:"
                " PREDICTION_KIND_LOGITS } } predictions { shape: [1, 2]"
                " values { values: [0, 0] } } targets { shape: [1, 2]"
                " values { values: [0, 1] } } extra_inputs {"
                " key: 'class_weights' value { values { values: [1, -1] } } }",
                "extra_inputs.class_weights.values"},
        Refusal{"gradient_dtype",
                With(absl::StrCat(kMse, "outputs { gradient: true ",
                                  "gradient_dtype: DTYPE_INT32 }")),
                "outputs.gradient_dtype"}));

INSTANTIATE_TEST_SUITE_P(
    NotServed, RefusedItemTest,
    testing::Values(
        Refusal{
            "arena",
            absl::StrCat(kMse, "predictions { arena { length: 4 } }", kTargets),
            "predictions.arena", absl::StatusCode::kUnimplemented},
        Refusal{"gradient_to",
                With(absl::StrCat(kMse,
                                  "outputs { gradient: true gradient_to {} }")),
                "outputs.gradient_to", absl::StatusCode::kUnimplemented},
        Refusal{
            "row_losses_to",
            With(absl::StrCat(kMse,
                              "outputs { row_losses: true row_losses_to {} }")),
            "outputs.row_losses_to", absl::StatusCode::kUnimplemented}));

// What an older server sees of a newer client.
TEST(BatchTest, AnUnknownLossIsUnimplemented) {
  v1::LossItem item = Parse<v1::LossItem>(With(""));
  // Field 500, an empty message.
  ASSERT_TRUE(
      item.mutable_loss()->ParseFromString(std::string("\xa2\x1f\0", 3)));
  const v1::LossResult result = ComputeItem(item);
  ExpectRefused(result, absl::StatusCode::kUnimplemented, "loss");
  EXPECT_THAT(result.status().message(),
              AllOf(HasSubstr("500"), HasSubstr(LOSSD_VERSION)));
}

TEST(BatchTest, UnknownNumbersOfEnums) {
  v1::LossItem item = Parse<v1::LossItem>(With(kMse));
  item.set_reduction(static_cast<v1::Reduction>(99));
  ExpectRefused(ComputeItem(item), absl::StatusCode::kUnimplemented,
                "reduction");
  item.clear_reduction();
  item.set_semantics(static_cast<v1::Semantics>(99));
  ExpectRefused(ComputeItem(item), absl::StatusCode::kUnimplemented,
                "semantics");
  item.clear_semantics();
  item.mutable_predictions()->set_dtype(static_cast<v1::Dtype>(257));
  ExpectRefused(ComputeItem(item), absl::StatusCode::kInvalidArgument,
                "predictions.dtype");
  item = Parse<v1::LossItem>(With("loss { hinge {} }"));
  item.mutable_loss()->mutable_hinge()->set_label_encoding(
      static_cast<v1::LabelEncoding>(99));
  ExpectRefused(ComputeItem(item), absl::StatusCode::kInvalidArgument,
                "loss.hinge.label_encoding");
}

TEST(BatchTest, ListsHaveALimit) {
  v1::LossItem item = Parse<v1::LossItem>(kMse);
  auto* values = item.mutable_predictions()->mutable_values()->mutable_values();
  values->Resize(65536, 1);
  *item.mutable_targets() = item.predictions();
  EXPECT_EQ(ComputeItem(item).status().code(), 0);
  values->Add(1);
  ExpectRefused(ComputeItem(item), absl::StatusCode::kInvalidArgument,
                "predictions.values");
}

// 100 predictions in data: a gradient has 800 bytes.
v1::LossItem LargeItem() {
  v1::LossItem item =
      Parse<v1::LossItem>(absl::StrCat(kMse, "outputs { gradient: true }"));
  item.mutable_predictions()->set_dtype(v1::DTYPE_FLOAT64);
  item.mutable_predictions()->add_shape(100);
  item.mutable_predictions()->set_data(BytesOf(std::vector<double>(100, 1)));
  *item.mutable_targets() = item.predictions();
  return item;
}

TEST(BatchTest, AReplyThatWouldBeTooLarge) {
  v1::ComputeRequest request;
  *request.mutable_defaults() = LargeItem();
  for (int i = 0; i < 3; ++i) request.add_items();
  BatchLimits limits = Limits();
  limits.max_message_bytes = 3000;
  const auto response = Compute(request, limits);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->results(0).status().code(), 0);
  EXPECT_EQ(response->results(1).status().code(), 0);
  EXPECT_EQ(response->results(2).status().code(), 8);
  EXPECT_THAT(response->results(2).status().message(),
              AllOf(HasSubstr("800"), HasSubstr("3000")));
  EXPECT_TRUE(std::isnan(response->results(2).loss()));
  EXPECT_LE(response->ByteSizeLong(), 3000);
}

// What was not computed for want of room has no result, even if what was to
// fill the reply turns out to have none either.
TEST(BatchTest, NoRoomIsDecidedBeforeAnythingIsComputed) {
  v1::ComputeRequest request;
  for (int i = 0; i < 3; ++i) *request.add_items() = LargeItem();
  std::vector<double> bad(100, 1);
  bad[7] = NAN;
  for (const int i : {0, 1}) {
    request.mutable_items(i)->mutable_predictions()->set_data(BytesOf(bad));
  }
  BatchLimits limits = Limits();
  limits.max_message_bytes = 2390;
  const auto response = Compute(request, limits);
  ASSERT_THAT(response, IsOk());
  EXPECT_EQ(response->results(0).status().code(), 3);
  EXPECT_EQ(response->results(1).status().code(), 3);
  EXPECT_EQ(response->results(2).status().code(), 8)
      << response->results(2).DebugString();
  EXPECT_THAT(response->results(2).status().message(),
              AllOf(HasSubstr("800"), HasSubstr("2390")));
  EXPECT_TRUE(std::isnan(response->results(2).loss()));
}

// More than a unit is worth: weighed and computed block by block, between small
// ones.
TEST(BatchTest, LargeItemsHaveTheResultsOfTheLibrary) {
  constexpr size_t kRows = 100'000;
  std::vector<float> numbers(kRows);
  for (size_t i = 0; i < kRows; ++i) numbers[i] = static_cast<float>(i % 97);
  std::vector<float> weights(kRows, 0.25F);
  v1::LossItem item =
      Parse<v1::LossItem>(absl::StrCat(kMse, "outputs { gradient: true }"));
  const auto set = [](const std::vector<float>& from, v1::Tensor* tensor) {
    tensor->set_dtype(v1::DTYPE_FLOAT32);
    tensor->add_shape(kRows);
    tensor->set_data(BytesOf(from));
  };
  set(numbers, item.mutable_predictions());
  set(std::vector<float>(kRows, 1), item.mutable_targets());
  set(weights, item.mutable_sample_weights());

  v1::ComputeRequest request;
  *request.add_items() = item;
  *request.add_items() = LargeItem();
  weights[70'000] = NAN;
  *request.add_items() = item;
  request.mutable_items(2)->mutable_sample_weights()->set_data(
      BytesOf(weights));
  *request.add_items() = item;
  numbers[99'999] = NAN;
  request.mutable_items(3)->mutable_predictions()->set_data(BytesOf(numbers));
  const auto response = Compute(
      request, {.max_items = 16, .max_message_bytes = int64_t{16} << 20});
  ASSERT_THAT(response, IsOk());

  const std::array<int64_t, 1> shape = {kRows};
  const auto view = [&shape](const v1::Tensor& tensor) {
    return TensorView{Dtype::kFloat32, shape,
                      std::as_bytes(std::span(tensor.data()))};
  };
  std::vector<float> gradient(kRows);
  const auto expected =
      Compute({.params = MeanSquaredErrorParams{}},
              {.predictions = view(item.predictions()),
               .targets = view(item.targets()),
               .sample_weights = view(item.sample_weights())},
              Outputs{.gradient = std::as_writable_bytes(std::span(gradient))});
  ASSERT_THAT(expected, IsOk());
  const v1::LossResult& result = response->results(0);
  EXPECT_EQ(result.loss(), expected->loss);
  EXPECT_EQ(result.gradient().data(), BytesOf(gradient));
  EXPECT_EQ(response->results(1).status().code(), 0);
  ExpectRefused(response->results(2), absl::StatusCode::kInvalidArgument,
                "sample_weights.data");
  ExpectRefused(response->results(3), absl::StatusCode::kInvalidArgument,
                "predictions.data");
}

// Numbers in lists are in the result already.
TEST(BatchTest, ListsCountOnce) {
  v1::ComputeRequest request;
  for (int i = 0; i < 2; ++i) {
    v1::LossItem& item = *request.add_items();
    item =
        Parse<v1::LossItem>(absl::StrCat(kMse, "outputs { gradient: true }"));
    item.mutable_predictions()->mutable_values()->mutable_values()->Resize(1000,
                                                                           1);
    *item.mutable_targets() = item.predictions();
  }
  BatchLimits limits = Limits();
  // Two gradients of 8000 bytes, and what CheckRoom wants beside.
  limits.max_message_bytes = 18'000;
  const auto response = Compute(request, limits);
  ASSERT_THAT(response, IsOk());
  for (const v1::LossResult& result : response->results()) {
    EXPECT_EQ(result.status().code(), 0) << result.status().message();
  }
}

TEST(BatchTest, TextsAloneCanBeTooLarge) {
  v1::ComputeRequest request;
  for (int i = 0; i < 16; ++i) request.add_items();
  BatchLimits limits = Limits();
  limits.max_message_bytes = 500;
  EXPECT_THAT(Compute(request, limits),
              StatusIs(absl::StatusCode::kResourceExhausted, HasSubstr("500")));
}

TEST(BatchTest, LongTextsLeaveRoomForGoodResults) {
  v1::ComputeRequest request;
  for (int i = 0; i < 14; ++i) {
    *request.add_items() = LargeItem();
    if (i == 0 || i == 7) continue;
    request.mutable_items(i)->mutable_loss()->mutable_named()->set_name(
        std::string(200, 'x'));
  }
  BatchLimits limits = Limits();
  limits.max_message_bytes = 4500;
  const auto response = Compute(request, limits);
  ASSERT_THAT(response, IsOk());
  EXPECT_LE(response->ByteSizeLong(), 4500);
  for (int i = 0; i < 14; ++i) {
    SCOPED_TRACE(i);
    const v1::LossResult& result = response->results(i);
    const bool bad = request.items(i).loss().has_named();
    EXPECT_EQ(result.status().code(), bad ? 3 : i == 0 ? 0 : 8);
    EXPECT_THAT(result.status().message(),
                testing::StartsWith(bad ? "loss.named.name: got 'xxx" : ""));
  }
  // The text of the first is whole, that of the last is not.
  EXPECT_EQ(response->results(1).status().violations_size(), 1);
  EXPECT_EQ(response->results(13).status().violations_size(), 0);
}

// 2^40 rows of nothing: no byte of data, terabytes of row losses.
TEST(BatchTest, ShapesOfManyEmptyRows) {
  v1::LossItem item = Parse<v1::LossItem>(absl::StrCat(
      kMse, "predictions { dtype: DTYPE_FLOAT32 shape: [1099511627776, 0] ",
      "data: '' }", "reduction: REDUCTION_NONE"));
  *item.mutable_targets() = item.predictions();
  ExpectRefused(ComputeItem(item), absl::StatusCode::kInvalidArgument,
                "predictions.shape");
}

TEST(BatchTest, CountsItemsAndElements) {
  Metrics metrics(2);
  ASSERT_THAT(Compute(Parse<v1::ComputeRequest>(absl::StrCat(
                          "items {", With(kMse), "} items {} items {",
                          With("loss { huber { delta: 0 } }"), "} items {",
                          With("loss { named { name: 'huber' options { fields "
                               "{ key: 'x' value { number_value: 1 } } } } }"),
                          "} items {",
                          With("loss { hinge { label_encoding: 9 } }"), "}")),
                      Limits(), metrics),
              IsOk());
  const std::string text = metrics.Text();
  for (const char* line :
       {"lossd_items_total{code=\"OK\",loss=\"mean_squared_error\"} 1\n",
        "lossd_item_elements_total{loss=\"mean_squared_error\"} 4\n",
        "lossd_items_total{code=\"INVALID_ARGUMENT\",loss=\"unknown\"} 1\n",
        "lossd_items_total{code=\"INVALID_ARGUMENT\",loss=\"huber\"} 2\n",
        "lossd_items_total{code=\"INVALID_ARGUMENT\",loss=\"hinge\"} 1\n",
        "lossd_item_elements_total{loss=\"huber\"} 0\n",
        "lossd_compute_threads 2\n"}) {
    EXPECT_THAT(text, HasSubstr(line));
  }
}

}  // namespace
}  // namespace lossd
