#include "server/selftest.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <span>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/compute.h"
#include "lib/core/numerics.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"

namespace lossd {
namespace {

// So often the numbers are repeated, to fill vectors and leave a tail.
constexpr int kCopies = 9;

absl::Status Compare(const SelfTestCase& test, const std::string& what,
                     double got, double expected, double tolerance) {
  if (std::abs(got - expected) <= tolerance) return absl::OkStatus();
  return absl::InternalError(absl::StrCat(
      "self-test of ", std::string(AllLosses::Find(test.params).name), " on ",
      std::string(SimdTarget()), ": ", what, " is ", NumberText(got),
      ", expected ", NumberText(expected)));
}

// The tensors of a case, in memory of their own, computed in T. All numbers
// are about 1, so `tolerance` is relative as well as absolute.
template <class T>
class Call {
 public:
  Call(const SelfTestCase& test, Dtype dtype) : test_(test), dtype_(dtype) {
    shape_ = test.shape;
    shape_[0] *= kCopies;
    inputs_.predictions = Add(test.predictions);
    if (!test.targets.empty()) inputs_.targets = Add(test.targets);
    if (!test.labels.empty()) {
      labels_ = Repeat<int64_t>(test.labels);
      inputs_.targets = {Dtype::kInt64, Rows(),
                         std::as_bytes(std::span(labels_))};
    }
    outputs_.gradient = AddOutput();
    for (const SelfTestExtra& extra : test.extras) {
      extra_inputs_.push_back({extra.name, Add(extra.numbers)});
      if (extra.gradient.empty()) continue;
      extra_outputs_.push_back({extra.name, AddOutput()});
    }
    inputs_.extra_inputs = extra_inputs_;
    outputs_.extra_gradients = extra_outputs_;
  }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  absl::Status Run(double tolerance) {
    LossSpec spec;
    spec.params = test_.params;
    const absl::StatusOr<LossResult> result =
        Compute(spec, inputs_, outputs_, 1);
    if (!result.ok()) {
      return absl::InternalError(absl::StrCat(
          "self-test of ", std::string(AllLosses::Find(test_.params).name),
          ": ", std::string(result.status().message())));
    }
    LOSSD_RETURN_IF_ERROR(
        Compare(test_, "the loss", result->loss, test_.loss, tolerance));
    LOSSD_RETURN_IF_ERROR(CompareGradient("the gradient", gradients_.front(),
                                          test_.gradient, tolerance));
    size_t next = 1;
    for (const SelfTestExtra& extra : test_.extras) {
      if (extra.gradient.empty()) continue;
      LOSSD_RETURN_IF_ERROR(
          CompareGradient(absl::StrCat("the gradient of ", extra.name),
                          gradients_[next++], extra.gradient, tolerance));
    }
    return absl::OkStatus();
  }

 private:
  template <class To, class From>
  static std::vector<To> Repeat(const std::vector<From>& numbers) {
    std::vector<To> copies;
    for (int i = 0; i < kCopies; ++i) {
      for (const From number : numbers) {
        copies.push_back(static_cast<To>(number));
      }
    }
    return copies;
  }

  std::span<const int64_t> Rows() const {
    return std::span<const int64_t>(shape_).first(1);
  }

  TensorView Add(const std::vector<double>& numbers) {
    const std::vector<T>& copies = buffers_.emplace_back(Repeat<T>(numbers));
    const bool whole = numbers.size() == test_.predictions.size();
    return {dtype_, whole ? std::span<const int64_t>(shape_) : Rows(),
            std::as_bytes(std::span(copies))};
  }

  std::span<std::byte> AddOutput() {
    std::vector<T>& gradient =
        gradients_.emplace_back(test_.predictions.size() * kCopies);
    return std::as_writable_bytes(std::span(gradient));
  }

  absl::Status CompareGradient(const std::string& what,
                               const std::vector<T>& got,
                               const std::vector<double>& expected,
                               double tolerance) const {
    for (size_t i = 0; i < got.size(); ++i) {
      LOSSD_RETURN_IF_ERROR(Compare(test_, what, static_cast<double>(got[i]),
                                    expected[i % expected.size()] / kCopies,
                                    tolerance));
    }
    return absl::OkStatus();
  }

  const SelfTestCase& test_;
  const Dtype dtype_;
  std::vector<int64_t> shape_;
  std::vector<int64_t> labels_;
  // Deques, since views point to what they hold.
  std::deque<std::vector<T>> buffers_;
  std::deque<std::vector<T>> gradients_;
  std::vector<NamedTensor> extra_inputs_;
  std::vector<NamedOutput> extra_outputs_;
  Inputs inputs_;
  Outputs outputs_;
};

absl::Status CheckComplete(const std::vector<SelfTestCase>& cases) {
  for (const AllLosses::Entry& loss : AllLosses::kTable) {
    const bool known = std::ranges::any_of(cases, [&](const auto& test) {
      return AllLosses::Find(test.params).name == loss.name;
    });
    if (known) continue;
    return absl::InternalError(
        absl::StrCat("the self-test has no case of ", std::string(loss.name)));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status RunSelfTest(const std::vector<SelfTestCase>& cases) {
  LOSSD_RETURN_IF_ERROR(CheckComplete(cases));
  for (const SelfTestCase& test : cases) {
    // A few units in the last place of each dtype.
    LOSSD_RETURN_IF_ERROR(Call<float>(test, Dtype::kFloat32).Run(1e-6));
    LOSSD_RETURN_IF_ERROR(Call<double>(test, Dtype::kFloat64).Run(1e-14));
  }
  return absl::OkStatus();
}

}  // namespace lossd
