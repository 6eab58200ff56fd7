// The tensors that ListLosses tells of are those that are read, required and
// answered with gradients and figures.

#include <algorithm>
#include <cstdint>
#include <map>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <type_traits>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_split.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/core/convert.h"
#include "lib/losses/registry.h"
#include "tests/integration/messages.h"
#include "tests/integration/running_server.h"
#include "tests/support/half.h"
#include "tests/support/loss_cases.h"

namespace lossd::test {
namespace {

class InputsTest : public testing::Test {
 protected:
  InputsTest() {
    const auto losses = server_.Connect().ListLosses();
    EXPECT_TRUE(losses.ok()) << losses.status();
    if (losses.ok()) losses_ = *losses;
  }

  const RunningServer server_;
  std::vector<v1::LossInfo> losses_;
};

// A case of the loss that has the input, or else its first case, as an item;
// targets and labels are 1, good ones for every loss in every dtype.
v1::LossItem ItemWith(const std::string& loss, const std::string& input) {
  std::optional<v1::LossItem> first;
  for (const LossCase& loss_case : LossCases()) {
    if (AllLosses::Find(loss_case.params).name != loss) continue;
    Problem problem = Sample(loss_case, {2, 3}, Dtype::kFloat64);
    for (double& target : problem.targets) target = 1;
    for (int64_t& label : problem.labels) label = 1;
    for (int64_t& index : problem.target_indices) index = 1;
    v1::LossItem item = ItemOf(problem);
    const bool has = input == "targets" ? item.has_targets()
                                        : item.extra_inputs().contains(input);
    if (has) return item;
    if (!first) first = item;
  }
  EXPECT_TRUE(first) << loss << " has no case";
  return first.value_or(v1::LossItem());
}

// The numbers of a tensor of float64 or int64 in another dtype, as far as it
// has them.
v1::Tensor InDtype(v1::Dtype dtype, const v1::Tensor& tensor) {
  const std::vector<int64_t> shape(tensor.shape().begin(),
                                   tensor.shape().end());
  const TensorView view = {static_cast<Dtype>(tensor.dtype()), shape,
                           std::as_bytes(std::span(tensor.data()))};
  std::vector<double> numbers(view.data.size() / SizeOf(view.dtype));
  for (size_t i = 0; i < numbers.size(); ++i) numbers[i] = ReadElement(view, i);
  const auto as = [&]<class T>(T) {
    std::vector<T> converted;
    for (const double number : numbers) {
      if constexpr (std::is_floating_point_v<T>) {
        converted.push_back(static_cast<T>(number));
      } else {
        converted.push_back(static_cast<T>(static_cast<int64_t>(number)));
      }
    }
    return TensorOf(dtype, converted, shape);
  };
  switch (dtype) {
    case v1::DTYPE_FLOAT32:
      return as(float{});
    case v1::DTYPE_FLOAT64:
      return as(double{});
    case v1::DTYPE_INT32:
      return as(int32_t{});
    case v1::DTYPE_INT64:
      return as(int64_t{});
    case v1::DTYPE_BOOL:
      return as(uint8_t{});
    default:
      break;
  }
  const auto half = static_cast<Dtype>(dtype);
  std::vector<uint16_t> codes;
  for (const double number : numbers) {
    codes.push_back(HalfCode(half, RoundToHalf(half, number)));
  }
  return TensorOf(dtype, codes, shape);
}

// Gives the item an input that no case has, for predictions [2, 3]: weights,
// variances and probabilities alike may be 1/2, and classes 0.
void AddInput(const v1::InputInfo& input, v1::LossItem* item) {
  v1::Tensor& tensor = (*item->mutable_extra_inputs())[input.name()];
  if (input.shape() == "[rows, K]") {
    const std::vector<int64_t> shape = {2, 2};
    tensor = TensorOf(v1::DTYPE_INT64, std::vector<int64_t>(4), shape);
    *item->mutable_targets() =
        TensorOf(v1::DTYPE_FLOAT64, std::vector<double>(4, 0.25), shape);
    return;
  }
  std::vector<int64_t> shape = {2, 3};
  if (input.shape() == "[C]" || input.shape() == "[D]") shape = {3};
  if (input.shape() == "rows") shape = {2};
  tensor = TensorOf(
      v1::DTYPE_FLOAT64,
      std::vector<double>(
          shape.size() == 1 ? static_cast<size_t>(shape[0]) : size_t{6}, 0.5),
      shape);
}

// "float32" of DTYPE_FLOAT32.
std::string DtypeText(v1::Dtype dtype) {
  return absl::AsciiStrToLower(
      v1::Dtype_Name(dtype).substr(sizeof("DTYPE_") - 1));
}

TEST_F(InputsTest, InputsTakeTheDtypesThatAreListedAndNoOthers) {
  for (const v1::LossInfo& info : losses_) {
    for (const v1::InputInfo& input : info.inputs()) {
      const std::set<std::string> listed = absl::StrSplit(input.dtypes(), ", ");
      v1::LossItem item = ItemWith(info.name(), input.name());
      if (!item.has_loss()) continue;
      v1::Tensor* tensor = nullptr;
      if (input.name() == "targets") {
        tensor = item.mutable_targets();
      } else {
        if (!item.extra_inputs().contains(input.name())) {
          AddInput(input, &item);
        }
        tensor = &(*item.mutable_extra_inputs())[input.name()];
        ClearReplacedOption(input.name(), item.mutable_loss());
      }
      const v1::Tensor numbers = *tensor;
      for (int number = v1::DTYPE_FLOAT32; number <= v1::Dtype_MAX; ++number) {
        const auto dtype = static_cast<v1::Dtype>(number);
        *tensor = InDtype(dtype, numbers);
        const v1::ItemStatus status = server_.Compute(item).status();
        EXPECT_EQ(status.code() == 0, listed.count(DtypeText(dtype)) == 1)
            << info.name() << ' ' << input.name() << ' ' << DtypeText(dtype)
            << ": " << status.message();
      }
    }
  }
}

// The field of the item's only violation.
std::string RefusedField(const v1::LossResult& result) {
  return result.status().violations_size() == 1
             ? result.status().violations(0).field()
             : "";
}

TEST_F(InputsTest, InputsAreRequiredAsListed) {
  for (const LossCase& loss_case : LossCases()) {
    const std::string name(AllLosses::Find(loss_case.params).name);
    SCOPED_TRACE(loss_case.name);
    const auto info = std::ranges::find(losses_, name, &v1::LossInfo::name);
    ASSERT_NE(info, losses_.end());
    const v1::LossItem item =
        ItemOf(Sample(loss_case, {2, 3}, Dtype::kFloat64));
    for (const v1::InputInfo& input : info->inputs()) {
      v1::LossItem without = item;
      without.clear_targets();
      if (input.name() != "targets") {
        without = item;
        without.mutable_extra_inputs()->erase(input.name());
      }
      const std::string field = input.name() == "targets"
                                    ? "targets"
                                    : "extra_inputs." + input.name();
      if (input.required()) {
        EXPECT_EQ(RefusedField(server_.Compute(without)), field);
      }
    }
    // Losses without targets refuse them.
    if (item.has_targets()) continue;
    v1::LossItem with = item;
    *with.mutable_targets() = item.predictions();
    EXPECT_EQ(RefusedField(server_.Compute(with)), "targets");
  }
}

TEST_F(InputsTest, GradientsOfExtraInputsAreThoseThatAreListed) {
  for (const LossCase& loss_case : LossCases()) {
    const std::string name(AllLosses::Find(loss_case.params).name);
    const auto info = std::ranges::find(losses_, name, &v1::LossInfo::name);
    ASSERT_NE(info, losses_.end());
    v1::LossItem item = ItemOf(Sample(loss_case, {2, 3}, Dtype::kFloat64));
    std::set<std::string> listed;
    for (const v1::InputInfo& input : info->inputs()) {
      if (input.differentiable() && item.extra_inputs().contains(input.name()))
        listed.insert(input.name());
    }
    std::set<std::string> answered;
    const v1::LossResult result = server_.Compute(item);
    for (const auto& [key, gradient] : result.extra_gradients()) {
      answered.insert(key);
    }
    EXPECT_EQ(answered, listed) << loss_case.name;
    item.mutable_outputs()->set_gradient(false);
    EXPECT_EQ(server_.Compute(item).extra_gradients_size(), 0);
  }
}

// Some figures need LOGITS, which not every case has; each comes with one.
TEST_F(InputsTest, DiagnosticsAreThoseThatAreListed) {
  const std::set<std::string> common = {"gradient_l2_norm", "gradient_max_norm",
                                        "non_finite_count", "clipped_count"};
  std::map<std::string, std::set<std::string>> answered;
  for (const LossCase& loss_case : LossCases()) {
    const std::string name(AllLosses::Find(loss_case.params).name);
    const v1::LossItem item = ItemOf(Sample(loss_case, {4, 3}, Dtype::kFloat64),
                                     {.diagnostics = true});
    const v1::LossResult result = server_.Compute(item);
    for (const std::string& figure : common) {
      EXPECT_TRUE(result.diagnostics().contains(figure))
          << loss_case.name << ' ' << figure;
    }
    for (const auto& [figure, value] : result.diagnostics()) {
      if (common.count(figure) == 0) answered[name].insert(figure);
    }
  }
  for (const v1::LossInfo& info : losses_) {
    EXPECT_EQ(answered[info.name()],
              std::set<std::string>(info.diagnostics().begin(),
                                    info.diagnostics().end()))
        << info.name();
  }
}

TEST_F(InputsTest, ExtraInputsAreAcceptedWhereTheyAreListed) {
  std::set<std::string> all = {"nonsense"};
  for (const v1::LossInfo& info : losses_) {
    for (const auto& input : info.inputs()) all.insert(input.name());
  }
  all.erase("targets");
  for (const v1::LossInfo& info : losses_) {
    std::set<std::string> listed;
    for (const auto& input : info.inputs()) listed.insert(input.name());
    for (const std::string& name : all) {
      if (listed.count(name) == 1) continue;
      v1::LossItem item = ItemWith(info.name(), "");
      if (!item.has_loss()) continue;
      (*item.mutable_extra_inputs())[name] =
          TensorOf(v1::DTYPE_FLOAT64, std::vector<double>(3, 1), {3});
      const v1::ItemStatus status = server_.Compute(item).status();
      ASSERT_EQ(status.violations_size(), 1) << info.name() << ' ' << name;
      EXPECT_EQ(status.violations(0).field(), "extra_inputs." + name);
    }
  }
}

}  // namespace
}  // namespace lossd::test
