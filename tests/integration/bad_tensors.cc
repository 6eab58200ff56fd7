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

v1::Tensor Values(const Doubles& numbers) {
  v1::Tensor tensor;
  tensor.mutable_values()->mutable_values()->Add(numbers.begin(),
                                                 numbers.end());
  return tensor;
}

void SetElement(v1::Tensor* tensor, size_t index, double number) {
  tensor->mutable_data()->replace(index * sizeof(number), sizeof(number),
                                  reinterpret_cast<const char*>(&number),
                                  sizeof(number));
}

// Sets an element of a tensor of the item.
auto Put(v1::Tensor* (v1::LossItem::*tensor)(), size_t index, double number) {
  return
      [=](v1::LossItem& item) { SetElement((item.*tensor)(), index, number); };
}

constexpr auto kPredictions = &v1::LossItem::mutable_predictions;
constexpr auto kTargets = &v1::LossItem::mutable_targets;
}  // namespace

std::vector<BadItem> BadTensors() {
  BadItemTable table;
  using Item = v1::LossItem&;
  table.Add(
      "predictions_missing", GoodMse(),
      [](Item item) { item.clear_predictions(); }, "predictions", "nothing",
      "a tensor");
  table.Add(
      "targets_missing", GoodMse(), [](Item item) { item.clear_targets(); },
      "targets", "nothing", "a tensor");
  table.Add(
      "storage_unset", GoodMse(),
      [](Item item) { item.mutable_predictions()->clear_storage(); },
      "predictions", "no elements", "data, arena, values or int_values");
  table.Add(
      "storage_of_targets_unset", GoodMse(),
      [](Item item) { item.mutable_targets()->clear_storage(); }, "targets",
      "no elements", "data, arena, values or int_values");
  table.Add(
      "column_against_vector", GoodMse(),
      [](Item item) {
        *item.mutable_predictions() = Float64({1, 2, 3, 4}, {4, 1});
        *item.mutable_targets() = Float64({1, 2, 3, 4}, {4});
      },
      "targets.shape", "[4]", "[4, 1]");
  table.Add(
      "negative_size", GoodMse(),
      [](Item item) { item.mutable_predictions()->set_shape(0, -2); },
      "predictions.shape", "[-2, 3]", ">= 0");
  table.Add(
      "negative_size_of_targets", GoodMse(),
      [](Item item) { item.mutable_targets()->set_shape(1, -3); },
      "targets.shape", "[2, -3]", ">= 0");
  table.Add(
      "overflowing_sizes", GoodMse(),
      [](Item item) {
        item.mutable_predictions()->set_shape(0, int64_t{1} << 32);
        item.mutable_predictions()->set_shape(1, int64_t{1} << 32);
      },
      "predictions.shape", "[4294967296, 4294967296]", "2^63");
  table.Add(
      "overflowing_bytes", GoodMse(),
      [](Item item) {
        item.mutable_predictions()->set_shape(0, int64_t{1} << 61);
        item.mutable_predictions()->set_shape(1, 1);
      },
      "predictions.shape", "[2305843009213693952, 1]", "2^63 bytes");
  table.Add(
      "nine_axes", GoodMse(),
      [](Item item) {
        for (int i = 0; i < 7; ++i) {
          item.mutable_predictions()->add_shape(1);
        }
      },
      "predictions.shape", "[2, 3, 1, 1, 1, 1, 1, 1, ...]", "at most 8 axes");
  table.Add(
      "data_too_short", GoodMse(),
      [](Item item) { item.mutable_predictions()->mutable_data()->pop_back(); },
      "predictions.data", "47 bytes", "48 bytes for FLOAT64 [2, 3]");
  table.Add(
      "data_too_long", GoodMse(),
      [](Item item) {
        item.mutable_targets()->mutable_data()->append(8, '\0');
      },
      "targets.data", "56 bytes", "48 bytes for FLOAT64 [2, 3]");
  table.Add(
      "huge_shape_without_data", GoodMse(),
      [](Item item) {
        item.mutable_predictions()->set_shape(0, int64_t{1} << 40);
        item.mutable_predictions()->clear_data();
        item.mutable_predictions()->set_data("");
      },
      "predictions.data", "0 bytes", "26388279066624 bytes");
  table.Add(
      "many_rows_of_nothing", GoodMse(),
      [](Item item) {
        item.mutable_predictions()->set_shape(0, int64_t{1} << 40);
        item.mutable_predictions()->set_shape(1, 0);
        item.mutable_predictions()->set_data("");
        *item.mutable_targets() = item.predictions();
        item.mutable_outputs()->set_row_losses(true);
      },
      "predictions.shape", "[1099511627776, 0]", "last axis");
  for (const auto& [name, number, got] :
       {std::tuple("missing", 0, "UNSPECIFIED"),
        std::tuple("unknown", 77, "77"), std::tuple("negative", -1, "-1")}) {
    const auto dtype = static_cast<v1::Dtype>(number);
    table.Add(
        std::string("dtype_of_predictions_") + name, GoodMse(),
        [=](Item item) { item.mutable_predictions()->set_dtype(dtype); },
        "predictions.dtype", got, "");
    table.Add(
        std::string("dtype_of_targets_") + name, GoodMse(),
        [=](Item item) { item.mutable_targets()->set_dtype(dtype); },
        "targets.dtype", got, "");
  }
  table.Add(
      "integer_predictions", GoodMse(),
      [](Item item) { item.mutable_predictions()->set_dtype(v1::DTYPE_INT64); },
      "predictions.dtype", "INT64", "FLOAT32, FLOAT64");
  table.Add(
      "half_precision_too_short", GoodMse(),
      [](Item item) {
        *item.mutable_predictions() =
            TensorOf(v1::DTYPE_FLOAT16, std::vector<uint16_t>(5), {2, 3});
      },
      "predictions.data", "10 bytes", "12 bytes for FLOAT16 [2, 3]");
  for (const auto& [name, dtype, code] :
       {std::tuple("float16", v1::DTYPE_FLOAT16, uint16_t{0x7e00}),
        std::tuple("bfloat16", v1::DTYPE_BFLOAT16, uint16_t{0x7fc0})}) {
    table.Add(
        std::string("nan_of_") + name, GoodMse(),
        [dtype = dtype, code = code](Item item) {
          *item.mutable_predictions() = TensorOf(
              dtype, std::vector<uint16_t>{0, 0, 0, 0, code, 0}, {2, 3});
        },
        "predictions.data[4]", "nan", "finite");
  }
  table.Add(
      "float_labels", GoodScce(),
      [](Item item) {
        *item.mutable_targets() = Float64({2, 0}, {2});
      },
      "targets.dtype", "FLOAT64", "INT32, INT64");
  table.Add(
      "one_hot_rows_for_labels", GoodScce(),
      [](Item item) {
        *item.mutable_targets() =
            TensorOf(v1::DTYPE_INT64, std::vector<int64_t>(6), {2, 3});
      },
      "targets.shape", "[2, 3]", "[2]");
  table.Add(
      "classes_without_rows", GoodCce(),
      [](Item item) {
        *item.mutable_predictions() = Float64({1, 2, 3}, {3});
        *item.mutable_targets() = Float64({1, 0, 0}, {3});
      },
      "predictions.shape", "[3]", "two axes");
  return std::move(table).rows();
}

std::vector<BadItem> BadLists() {
  BadItemTable table;
  using Item = v1::LossItem&;
  const Doubles many(65537);
  table.Add(
      "too_many_values", GoodMse(),
      [&](Item item) { *item.mutable_predictions() = Values(many); },
      "predictions.values", "65537 numbers", "at most 65536");
  table.Add(
      "too_many_int_values", GoodMse(),
      [&](Item item) {
        auto* list = item.mutable_targets()->mutable_int_values();
        for (size_t i = 0; i < many.size(); ++i) list->add_values(0);
      },
      "targets.int_values", "65537 numbers", "at most 65536");
  table.Add(
      "values_against_shape", GoodMse(),
      [](Item item) {
        *item.mutable_predictions() = Values({1, 2, 3, 4, 5});
        item.mutable_predictions()->add_shape(2);
        item.mutable_predictions()->add_shape(3);
      },
      "predictions.values", "5 numbers", "6 numbers for [2, 3]");
  table.Add(
      "bad_element_of_values", GoodMse(),
      [](Item item) {
        *item.mutable_predictions() = Values({1, kNan, 3});
        *item.mutable_targets() = Values({1, 2, 3});
      },
      "predictions.values[1]", "nan", "finite");
  table.Add(
      "fraction_as_integer", GoodScce(),
      [](Item item) {
        *item.mutable_targets() = Values({0, 1.5});
        item.mutable_targets()->set_dtype(v1::DTYPE_INT64);
      },
      "targets.values[1]", "1.5", "INT64");
  table.Add(
      "number_too_large_for_its_dtype", GoodMse(),
      [](Item item) {
        *item.mutable_predictions() = Values({1, 1e39});
        item.mutable_predictions()->set_dtype(v1::DTYPE_FLOAT32);
      },
      "predictions.values[1]", "1e+39", "FLOAT32");
  // Halfway to the number that the largest one would be followed by.
  for (const auto& [name, dtype, number, got] :
       {std::tuple("float16", v1::DTYPE_FLOAT16, 65520.0, "65520"),
        std::tuple("bfloat16", v1::DTYPE_BFLOAT16, -0x1.ffp127,
                   "-3.39617752923046e+38")}) {
    table.Add(
        std::string("number_too_large_for_") + name, GoodMse(),
        [dtype = dtype, number = number](Item item) {
          *item.mutable_predictions() = Values({1, number});
          item.mutable_predictions()->set_dtype(dtype);
        },
        "predictions.values[1]", got,
        v1::Dtype_Name(dtype).substr(sizeof("DTYPE_") - 1));
  }
  table.Add(
      "integer_too_large_for_its_dtype", GoodScce(),
      [](Item item) {
        auto* list = item.mutable_targets()->mutable_int_values();
        list->add_values(0);
        list->add_values(int64_t{1} << 31);
        item.mutable_targets()->set_dtype(v1::DTYPE_INT32);
      },
      "targets.int_values[1]", "2147483648", "INT32");
  for (const auto& [name, dtype, number] :
       {std::tuple("above", v1::DTYPE_FLOAT32, (int64_t{1} << 24) + 1),
        std::tuple("below", v1::DTYPE_FLOAT32, -(int64_t{1} << 24) - 1),
        std::tuple("above_double", v1::DTYPE_FLOAT64, (int64_t{1} << 53) + 1),
        std::tuple("above_bfloat16", v1::DTYPE_BFLOAT16, int64_t{257}),
        std::tuple("largest", v1::DTYPE_FLOAT64,
                   std::numeric_limits<int64_t>::max())}) {
    table.Add(
        std::string("integer_between_floats_") + name, GoodMse(),
        [dtype = dtype, number = number](Item item) {
          *item.mutable_predictions() = Values({1, 2, 3});
          auto* list = item.mutable_targets()->mutable_int_values();
          list->add_values(std::numeric_limits<int64_t>::min());
          list->add_values(int64_t{1} << 62);
          list->add_values(number);
          item.mutable_targets()->clear_shape();
          item.mutable_targets()->set_dtype(dtype);
        },
        "targets.int_values[2]", std::to_string(number), " can hold exactly");
  }
  table.Add(
      "integer_between_halves", GoodMse(),
      [](Item item) {
        *item.mutable_predictions() = Values({1, 2, 3});
        auto* list = item.mutable_targets()->mutable_int_values();
        for (const int64_t number : {2048, -65504, 2049}) {
          list->add_values(number);
        }
        item.mutable_targets()->clear_shape();
        item.mutable_targets()->set_dtype(v1::DTYPE_FLOAT16);
      },
      "targets.int_values[2]", "2049", "FLOAT16 can hold exactly");
  table.Add(
      "mask_of_two", GoodMse(),
      [](Item item) {
        *item.mutable_mask() = Values({1, 2});
        item.mutable_mask()->set_dtype(v1::DTYPE_BOOL);
      },
      "mask.values[1]", "2", "BOOL");
  return std::move(table).rows();
}

std::vector<BadItem> BadElements() {
  BadItemTable table;
  for (const auto& [name, item] :
       {std::pair("mse", GoodMse()), std::pair("huber", GoodHuber()),
        std::pair("msle", GoodMsle()), std::pair("hinge", GoodHinge()),
        std::pair("bce", GoodBce()), std::pair("cce", GoodCce()),
        std::pair("scce", GoodScce()), std::pair("kld", GoodKld())}) {
    table.Add(
        std::string(name) + "_nan_prediction", item,
        [](v1::LossItem& spoilt) {
          Put(kPredictions, 4, kNan)(spoilt);
          Put(kPredictions, 5, kNan)(spoilt);
        },
        "predictions.data[4]", "nan", "");
    table.Add(std::string(name) + "_infinite_prediction", item,
              Put(kPredictions, 3, kInfinity), "predictions.data[3]", "inf",
              "");
    if (item.targets().dtype() == v1::DTYPE_INT64) continue;
    table.Add(std::string(name) + "_nan_target", item, Put(kTargets, 1, kNan),
              "targets.data[1]", "nan", "");
    table.Add(std::string(name) + "_infinite_target", item,
              Put(kTargets, 5, -kInfinity), "targets.data[5]", "-inf", "");
  }
  table.Add(
      "label_one_based", GoodScce(),
      [](v1::LossItem& item) {
        item.mutable_targets()->mutable_data()->at(8) = 3;
      },
      "targets.data[1]", "label 3", "0-based");
  table.Add(
      "label_negative", GoodScce(),
      [](v1::LossItem& item) {
        item.mutable_targets()->set_data(std::string(16, '\xff'));
      },
      "targets.data[0]", "label -1", "0");
  table.Add("bce_target_above_one", GoodBce(), Put(kTargets, 2, 1.25),
            "targets.data[2]", "1.25", "[0, 1]");
  table.Add("bce_target_below_zero", GoodBce(), Put(kTargets, 2, -0.25),
            "targets.data[2]", "-0.25", "[0, 1]");
  table.Add("cce_target_above_one", GoodCce(), Put(kTargets, 2, 1.25),
            "targets.data[2]", "1.25", "[0, 1]");
  table.Add("kld_target_below_zero", GoodKld(), Put(kTargets, 4, -0.25),
            "targets.data[4]", "-0.25", "[0, 1]");
  table.Add(
      "bce_logits_as_probabilities", GoodBce(),
      [](v1::LossItem& item) {
        item.mutable_loss()
            ->mutable_binary_cross_entropy()
            ->set_prediction_kind(v1::PREDICTION_KIND_PROBABILITIES);
      },
      "predictions.data[1]", "2", "LOGITS");
  table.Add("hinge_label_zero", GoodHinge(), Put(kTargets, 3, 0),
            "targets.data[3]", "0", "ZERO_ONE");
  table.Add(
      "hinge_label_minus_one_of_zero_one", GoodHinge(),
      [](v1::LossItem& item) {
        item.mutable_loss()->mutable_hinge()->set_label_encoding(
            v1::LABEL_ENCODING_ZERO_ONE);
      },
      "targets.data[1]", "-1", "0 or 1");
  table.Add("msle_prediction_at_minus_one", GoodMsle(),
            Put(kPredictions, 0, -1), "predictions.data[0]", "-1", "> -1");
  table.Add("msle_target_below_minus_one", GoodMsle(), Put(kTargets, 5, -3),
            "targets.data[5]", "-3", "> -1");
  return std::move(table).rows();
}

}  // namespace lossd::test
