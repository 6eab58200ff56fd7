#include <cstdint>
#include <limits>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "tests/integration/bad_items.h"
#include "tests/integration/messages.h"

namespace lossd::test {
namespace {

using Doubles = std::vector<double>;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Field 500, an empty message.
std::string OfTheFuture() { return {"\xa2\x1f\0", 3}; }

}  // namespace

std::vector<BadItem> BadOptionalInputs() {
  BadItemTable table;
  using Item = v1::LossItem&;
  table.Add(
      "negative_weight_of_weighted_mean", GoodMse(),
      [](Item item) {
        *item.mutable_sample_weights() = Float64({1, -2}, {2});
        item.set_reduction(v1::REDUCTION_WEIGHTED_MEAN);
      },
      "sample_weights.data[1]", "-2", ">= 0");
  table.Add(
      "nan_weight", GoodMse(),
      [](Item item) {
        *item.mutable_sample_weights() = Float64({kNan, 1}, {2});
      },
      "sample_weights.data[0]", "nan", "finite");
  table.Add(
      "weights_of_elements", GoodMse(),
      [](Item item) {
        *item.mutable_sample_weights() = Float64(Doubles(6), {2, 3});
      },
      "sample_weights.shape", "[2, 3]", "[2]");
  table.Add(
      "weights_unset", GoodMse(),
      [](Item item) { item.mutable_sample_weights(); }, "sample_weights",
      "no elements", "data");
  table.Add(
      "integer_weights", GoodMse(),
      [](Item item) {
        *item.mutable_sample_weights() =
            TensorOf(v1::DTYPE_INT32, std::vector<int32_t>{1, 1}, {2});
      },
      "sample_weights.dtype", "INT32", "FLOAT");
  table.Add(
      "mask_byte", GoodMse(),
      [](Item item) {
        *item.mutable_mask() =
            TensorOf(v1::DTYPE_BOOL, std::vector<uint8_t>{1, 2}, {2});
      },
      "mask.data[1]", "2", "0 or 1");
  table.Add(
      "mask_of_floats", GoodMse(),
      [](Item item) {
        *item.mutable_mask() = Float64({1, 0}, {2});
      },
      "mask.dtype", "FLOAT64", "BOOL");
  table.Add(
      "mask_of_elements", GoodMse(),
      [](Item item) {
        *item.mutable_mask() =
            TensorOf(v1::DTYPE_BOOL, std::vector<uint8_t>(6), {2, 3});
      },
      "mask.shape", "[2, 3]", "[2]");
  table.Add(
      "nan_upstream", GoodMse(),
      [](Item item) {
        *item.mutable_upstream_gradient() = Float64({kNan}, {});
      },
      "upstream_gradient.data[0]", "nan", "finite");
  table.Add(
      "upstream_rows_of_mean", GoodMse(),
      [](Item item) {
        *item.mutable_upstream_gradient() = Float64({1, 1}, {2});
      },
      "upstream_gradient.shape", "[2]", "NONE");
  for (const auto& [name, number, got] :
       {std::tuple("zero", 0.0, "0"), std::tuple("negative", -2.5, "-2.5"),
        std::tuple("nan", kNan, "nan"),
        std::tuple("infinite", kInfinity, "inf")}) {
    table.Add(
        std::string("normalizer_") + name, GoodMse(),
        [number = number](Item item) { item.set_normalizer(number); },
        "normalizer", got, "> 0");
  }
  for (const v1::Reduction reduction :
       {v1::REDUCTION_NONE, v1::REDUCTION_SUM, v1::REDUCTION_WEIGHTED_MEAN,
        v1::REDUCTION_BATCHMEAN}) {
    table.Add(
        "normalizer_of_" + v1::Reduction_Name(reduction), GoodMse(),
        [=](Item item) {
          item.set_reduction(reduction);
          item.set_normalizer(2);
        },
        "normalizer", "2", "MEAN");
  }
  table.Add(
      "unknown_extra_input", GoodCce(),
      [](Item item) {
        (*item.mutable_extra_inputs())["class_weight"] =
            Float64({1, 1, 1}, {3});
      },
      "extra_inputs.class_weight", "a tensor", "class_weights");
  table.Add(
      "extra_input_of_mse", GoodMse(),
      [](Item item) {
        (*item.mutable_extra_inputs())["pos_weight"] = Float64({1, 1, 1}, {3});
      },
      "extra_inputs.pos_weight", "a tensor", "no extra inputs");
  table.Add(
      "target_indices_without_targets_of_their_shape", GoodCce(),
      [](Item item) {
        (*item.mutable_extra_inputs())["target_indices"] =
            TensorOf(v1::DTYPE_INT32, std::vector<int32_t>{0, 1}, {2, 1});
      },
      "targets.shape", "[2, 3]", "[2, 1]");
  table.Add(
      "target_index_beyond_the_classes", GoodCce(),
      [](Item item) {
        (*item.mutable_extra_inputs())["target_indices"] = TensorOf(
            v1::DTYPE_INT64, std::vector<int64_t>{0, 1, 2, 0, 3, 1}, {2, 3});
      },
      "extra_inputs.target_indices.data[4]", "3", "classes 0 to 2");
  table.Add(
      "target_indices_of_floats", GoodCce(),
      [](Item item) {
        (*item.mutable_extra_inputs())["target_indices"] =
            Float64({0, 1, 2, 0, 1, 2}, {2, 3});
      },
      "extra_inputs.target_indices.dtype", "FLOAT64", "INT32, INT64");
  table.Add(
      "weights_of_rows_where_elements_are_rows", GoodMse(),
      [](Item item) {
        *item.mutable_sample_weights() = Float64({1, 2}, {2});
        item.set_semantics(v1::SEMANTICS_PYTORCH);
      },
      "sample_weights.shape", "[2]", "[2, 3]");
  table.Add(
      "class_weights_for_two_of_three", GoodScce(),
      [](Item item) {
        (*item.mutable_extra_inputs())["class_weights"] = Float64({1, 1}, {2});
      },
      "extra_inputs.class_weights.shape", "[2]", "[3]");
  table.Add(
      "class_weight_negative", GoodScce(),
      [](Item item) {
        (*item.mutable_extra_inputs())["class_weights"] =
            Float64({1, 1, -1}, {3});
      },
      "extra_inputs.class_weights.data[2]", "-1", ">= 0");
  table.Add(
      "pos_weight_twice", GoodBce(),
      [](Item item) {
        item.mutable_loss()->mutable_binary_cross_entropy()->set_pos_weight(2);
        (*item.mutable_extra_inputs())["pos_weight"] = Float64({1, 1, 1}, {3});
      },
      "extra_inputs.pos_weight", "a tensor", "pos_weight");
  for (const auto& [name, number, got] :
       {std::tuple("int32", static_cast<int>(v1::DTYPE_INT32), "INT32"),
        std::tuple("unknown", 42, "42")}) {
    table.Add(
        std::string("gradient_dtype_") + name, GoodMse(),
        [number = number](Item item) {
          item.mutable_outputs()->set_gradient_dtype(
              static_cast<v1::Dtype>(number));
        },
        "outputs.gradient_dtype", got, "FLOAT32, FLOAT64, FLOAT16, BFLOAT16");
  }
  return std::move(table).rows();
}

std::vector<BadItem> BadLosses() {
  BadItemTable table;
  using Item = v1::LossItem&;
  table.Add(
      "no_loss", GoodMse(), [](Item item) { item.clear_loss(); }, "loss",
      "no loss", "ListLosses");
  table.Add(
      "empty_loss", GoodMse(),
      [](Item item) { item.mutable_loss()->clear_kind(); }, "loss", "no loss",
      "ListLosses");
  for (const auto& [name, delta, got] :
       {std::tuple("zero", 0.0, "0"), std::tuple("negative", -1.0, "-1"),
        std::tuple("nan", kNan, "nan"),
        std::tuple("infinite", kInfinity, "inf")}) {
    table.Add(
        std::string("delta_") + name, GoodHuber(),
        [delta = delta](Item item) {
          item.mutable_loss()->mutable_huber()->set_delta(delta);
        },
        "loss.huber.delta", got, "finite and > 0");
    table.Add(
        std::string("named_delta_") + name, Named("huber"),
        [delta = delta](Item item) {
          OptionOf(item, "delta").set_number_value(delta);
        },
        "loss.named.options.delta", got, "finite and > 0");
  }
  table.Add(
      "bce_kind_missing", GoodBce(),
      [](Item item) {
        item.mutable_loss()
            ->mutable_binary_cross_entropy()
            ->clear_prediction_kind();
      },
      "loss.binary_cross_entropy.prediction_kind", "nothing",
      "LOGITS or PROBABILITIES");
  table.Add(
      "bce_kind_of_logarithms", GoodBce(),
      [](Item item) {
        item.mutable_loss()
            ->mutable_binary_cross_entropy()
            ->set_prediction_kind(v1::PREDICTION_KIND_LOG_PROBABILITIES);
      },
      "loss.binary_cross_entropy.prediction_kind", "LOG_PROBABILITIES",
      "LOGITS or PROBABILITIES");
  table.Add(
      "cce_kind_missing", GoodCce(),
      [](Item item) {
        item.mutable_loss()->mutable_categorical_cross_entropy()->Clear();
      },
      "loss.categorical_cross_entropy.prediction_kind", "nothing",
      "LOGITS, PROBABILITIES or LOG_PROBABILITIES");
  table.Add(
      "scce_kind_missing", GoodScce(),
      [](Item item) {
        item.mutable_loss()
            ->mutable_sparse_categorical_cross_entropy()
            ->Clear();
      },
      "loss.sparse_categorical_cross_entropy.prediction_kind", "nothing",
      "LOGITS, PROBABILITIES or LOG_PROBABILITIES");
  table.Add(
      "kld_kind_unknown", GoodKld(),
      [](Item item) {
        item.mutable_loss()
            ->mutable_kullback_leibler_divergence()
            ->set_prediction_kind(static_cast<v1::PredictionKind>(9));
      },
      "loss.kullback_leibler_divergence.prediction_kind", "9",
      "LOGITS, PROBABILITIES, LOG_PROBABILITIES");
  table.Add(
      "hinge_encoding_unknown", GoodHinge(),
      [](Item item) {
        item.mutable_loss()->mutable_hinge()->set_label_encoding(
            static_cast<v1::LabelEncoding>(-4));
      },
      "loss.hinge.label_encoding", "-4", "PLUS_MINUS_ONE, ZERO_ONE");
  table.Add(
      "z_loss_of_probabilities", GoodCce(),
      [](Item item) {
        auto* loss = item.mutable_loss()->mutable_categorical_cross_entropy();
        loss->set_prediction_kind(v1::PREDICTION_KIND_PROBABILITIES);
        loss->set_z_loss(0.1);
      },
      "loss.categorical_cross_entropy.z_loss", "0.1", "LOGITS");
  table.Add(
      "temperature_of_probabilities", GoodKld(),
      [](Item item) {
        auto* loss = item.mutable_loss()->mutable_kullback_leibler_divergence();
        loss->set_prediction_kind(v1::PREDICTION_KIND_PROBABILITIES);
        loss->set_temperature(2);
      },
      "loss.kullback_leibler_divergence.temperature", "2", "LOGITS");
  table.Add(
      "epsilon_of_one_half", GoodMsle(),
      [](Item item) {
        item.mutable_loss()
            ->mutable_mean_squared_logarithmic_error()
            ->set_epsilon(0.5);
      },
      "loss.mean_squared_logarithmic_error.epsilon", "0.5", "in (0, 0.5)");
  table.Add(
      "tail_policy_unknown", GoodCce(),
      [](Item item) {
        item.mutable_loss()
            ->mutable_categorical_cross_entropy()
            ->set_tail_policy(static_cast<v1::TailPolicy>(7));
      },
      "loss.categorical_cross_entropy.tail_policy", "7",
      "DROP, RENORMALIZE, UNIFORM_TAIL");
  // PyTorch has two functions of this name.
  table.Add(
      "bce_kind_missing_of_pytorch", GoodBce(),
      [](Item item) {
        item.mutable_loss()->mutable_binary_cross_entropy()->Clear();
        item.set_semantics(v1::SEMANTICS_PYTORCH);
      },
      "loss.binary_cross_entropy.prediction_kind", "nothing",
      "LOGITS or PROBABILITIES");
  table.Add(
      "named_nothing", Named(""), [](Item) {}, "loss.named.name", "''", "mse");
  table.Add(
      "named_unknown", Named("l2"), [](Item) {}, "loss.named.name", "'l2'",
      "huber");
  table.Add(
      "named_unknown_option", Named("huber"),
      [](Item item) { OptionOf(item, "Delta").set_number_value(1); },
      "loss.named.options.Delta", "an unknown option", "delta");
  table.Add(
      "named_option_of_mse", Named("mse"),
      [](Item item) { OptionOf(item, "delta").set_number_value(1); },
      "loss.named.options.delta", "an unknown option", "no options");
  table.Add(
      "named_option_of_another_type", Named("huber"),
      [](Item item) { OptionOf(item, "delta").set_string_value("1"); },
      "loss.named.options.delta", "'1'", "a number");
  table.Add(
      "named_null", Named("huber"),
      [](Item item) {
        OptionOf(item, "delta").set_null_value(google::protobuf::NULL_VALUE);
      },
      "loss.named.options.delta", "null", "a number");
  for (const auto& [name, set, got] :
       {std::tuple(
            "number",
            +[](google::protobuf::Value& v) { v.set_number_value(1); }, "1"),
        std::tuple(
            "text",
            +[](google::protobuf::Value& v) { v.set_string_value("true"); },
            "'true'"),
        std::tuple(
            "list", +[](google::protobuf::Value& v) { v.mutable_list_value(); },
            "a list")}) {
    table.Add(
        std::string("named_switch_of_") + name, Named("kld"),
        [set = set](Item item) {
          OptionOf(item, "prediction_kind").set_string_value("LOGITS");
          set(OptionOf(item, "temperature_squared"));
        },
        "loss.named.options.temperature_squared", got, "true or false");
  }
  table.Add(
      "named_number_is_a_switch", Named("huber"),
      [](Item item) { OptionOf(item, "delta").set_bool_value(true); },
      "loss.named.options.delta", "true", "a number");
  table.Add(
      "named_kind_missing", Named("bce"), [](Item) {},
      "loss.named.options.prediction_kind", "nothing", "LOGITS");
  table.Add(
      "named_kind_unknown", Named("bce"),
      [](Item item) {
        OptionOf(item, "prediction_kind").set_string_value("logit");
      },
      "loss.named.options.prediction_kind", "'logit'", "LOGITS, PROBABILITIES");
  table.Add(
      "named_kind_unspecified", Named("kld"),
      [](Item item) {
        OptionOf(item, "prediction_kind").set_string_value("LOGITS");
        OptionOf(item, "target_kind").set_string_value("UNSPECIFIED");
      },
      "loss.named.options.target_kind", "'UNSPECIFIED'",
      "PROBABILITIES, LOG_PROBABILITIES");
  table.Add(
      "named_ignore_index_with_fraction", Named("scce"),
      [](Item item) { OptionOf(item, "ignore_index").set_number_value(0.5); },
      "loss.named.options.ignore_index", "0.5", "whole number");
  return std::move(table).rows();
}

std::vector<BadItem> ItemsNotServed() {
  BadItemTable table;
  using Item = v1::LossItem&;
  constexpr auto kCode = grpc::UNIMPLEMENTED;
  table.Add(
      "loss_of_the_future", GoodMse(),
      [](Item item) { item.mutable_loss()->ParseFromString(OfTheFuture()); },
      "loss", "field 500", "ListLosses", kCode);
  table.Add(
      "option_of_the_future", GoodHuber(),
      [](Item item) {
        item.mutable_loss()->mutable_huber()->ParseFromString(OfTheFuture());
      },
      "loss.huber", "field 500", "delta", kCode);
  table.Add(
      "first_option_of_the_future", GoodMse(),
      [](Item item) {
        item.mutable_loss()->mutable_mean_squared_error()->ParseFromString(
            OfTheFuture());
      },
      "loss.mean_squared_error", "field 500", "no options", kCode);
  table.Add(
      "arena_of_predictions", GoodMse(),
      [](Item item) {
        item.mutable_predictions()->mutable_arena()->set_id("0123");
      },
      "predictions.arena", "an arena", "no arenas", kCode);
  table.Add(
      "arena_of_mask", GoodMse(),
      [](Item item) { item.mutable_mask()->mutable_arena(); }, "mask.arena",
      "an arena", "no arenas", kCode);
  table.Add(
      "arena_of_class_weights", GoodCce(),
      [](Item item) {
        (*item.mutable_extra_inputs())["class_weights"].mutable_arena();
      },
      "extra_inputs.class_weights.arena", "an arena", "no arenas", kCode);
  table.Add(
      "gradient_to_arena", GoodMse(),
      [](Item item) {
        item.mutable_outputs()->set_gradient(true);
        item.mutable_outputs()->mutable_gradient_to();
      },
      "outputs.gradient_to", "an arena", "no arenas", kCode);
  table.Add(
      "row_losses_to_arena", GoodMse(),
      [](Item item) {
        item.mutable_outputs()->set_row_losses(true);
        item.mutable_outputs()->mutable_row_losses_to();
      },
      "outputs.row_losses_to", "an arena", "no arenas", kCode);
  table.Add(
      "gradient_to_without_gradient", GoodMse(),
      [](Item item) {
        item.mutable_outputs()->set_gradient(false);
        item.mutable_outputs()->mutable_gradient_to();
      },
      "outputs.gradient_to", "a destination", "outputs.gradient");
  table.Add(
      "row_losses_to_without_row_losses", GoodMse(),
      [](Item item) { item.mutable_outputs()->mutable_row_losses_to(); },
      "outputs.row_losses_to", "a destination", "outputs.row_losses");
  table.Add(
      "extra_gradients_to_of_no_input", GoodMse(),
      [](Item item) {
        (*item.mutable_outputs()->mutable_extra_gradients_to())["x"];
      },
      "outputs.extra_gradients_to.x", "a destination", "there are none");
  table.Add(
      "semantics_unknown", GoodMse(),
      [](Item item) { item.set_semantics(static_cast<v1::Semantics>(33)); },
      "semantics", "33", "STRICT, PYTORCH, KERAS", kCode);
  table.Add(
      "reduction_unknown", GoodMse(),
      [](Item item) { item.set_reduction(static_cast<v1::Reduction>(33)); },
      "reduction", "33", "NONE, SUM, MEAN", kCode);
  return std::move(table).rows();
}

}  // namespace lossd::test
