// What the options of losses may be, said once: the parameter structs list
// their options with these, and checks, messages and the proto's codec go by
// the lists.
//
//   struct HuberParams {
//     double delta = 1;
//     static constexpr void VisitOptions(auto& params, auto visit) {
//       visit("delta", params.delta, kPositive);
//     }
//   };

#ifndef LOSSD_LIB_LOSSES_OPTIONS_H_
#define LOSSD_LIB_LOSSES_OPTIONS_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <string>
#include <string_view>

#include "absl/status/status.h"
#include "lib/core/spec.h"

namespace lossd {

// Finite numbers from `minimum` to `maximum`, the ends included unless they are
// exclusive. Infinite: no such end.
struct NumberRange {
  double minimum = -std::numeric_limits<double>::infinity();
  double maximum = std::numeric_limits<double>::infinity();
  bool exclusive_minimum = false;
  bool exclusive_maximum = false;
};

inline constexpr NumberRange kFinite;
inline constexpr NumberRange kPositive{.minimum = 0, .exclusive_minimum = true};
inline constexpr NumberRange kNotNegative{.minimum = 0};
inline constexpr NumberRange kUnitInterval{.minimum = 0, .maximum = 1};
inline constexpr NumberRange kInsideUnitInterval{.minimum = 0,
                                                 .maximum = 1,
                                                 .exclusive_minimum = true,
                                                 .exclusive_maximum = true};
// What probabilities are kept away from 0 and 1 by.
inline constexpr NumberRange kClipDistance{.minimum = 0,
                                           .maximum = 0.5,
                                           .exclusive_minimum = true,
                                           .exclusive_maximum = true};

// Any value: switches, and integers without a range.
struct AnyValue {};

// For enums: an array of the members that a loss accepts.
inline constexpr std::array kAnyPredictionKind = {
    PredictionKind::kLogits, PredictionKind::kProbabilities,
    PredictionKind::kLogProbabilities};
inline constexpr std::array kLogitsOrProbabilities = {
    PredictionKind::kLogits, PredictionKind::kProbabilities};
inline constexpr std::array kLogitsOrLogProbabilities = {
    PredictionKind::kLogits, PredictionKind::kLogProbabilities};
inline constexpr std::array kBothTargetKinds = {TargetKind::kProbabilities,
                                                TargetKind::kLogProbabilities};
inline constexpr std::array kBothEncodings = {LabelEncoding::kPlusMinusOne,
                                              LabelEncoding::kZeroOne};
inline constexpr std::array kAnyTailPolicy = {
    TailPolicy::kDrop, TailPolicy::kRenormalize, TailPolicy::kUniformTail};
inline constexpr std::array kBothScopes = {Scope::kSample, Scope::kBatch};

// Members' short names, as in the proto.
std::string_view NameOf(PredictionKind kind);
std::string_view NameOf(TargetKind kind);
std::string_view NameOf(LabelEncoding encoding);
std::string_view NameOf(TailPolicy policy);
std::string_view NameOf(Scope scope);

// INVALID_ARGUMENT naming "options.NAME" for a number out of range.
absl::Status CheckOption(std::string_view name, double number,
                         const NumberRange& range);

// INVALID_ARGUMENT naming "options.NAME": got `got`, allowed `allowed`.
absl::Status RefuseOption(std::string_view name, std::string_view got,
                          std::string_view allowed);

// The checks of one option each, for VisitOptions.
class OptionChecker {
 public:
  explicit OptionChecker(absl::Status* status) : status_(status) {}

  void operator()(std::string_view name, double number,
                  const NumberRange& range) const {
    status_->Update(CheckOption(name, number, range));
  }

  void operator()(std::string_view name, int64_t number,
                  const NumberRange& range) const {
    status_->Update(CheckOption(name, static_cast<double>(number), range));
  }

  // Unset options have no value to check.
  template <class T>
  void operator()(std::string_view name, const std::optional<T>& number,
                  const NumberRange& range) const {
    if (number) (*this)(name, *number, range);
  }

  template <class T>
  void operator()(std::string_view, const T&, AnyValue) const {}

  // An unspecified member is refused as "nothing".
  template <class Enum, size_t n>
  void operator()(std::string_view name, Enum member,
                  const std::array<Enum, n>& allowed) const {
    std::string names;
    size_t left = n;
    for (const Enum candidate : allowed) {
      if (candidate == member) return;
      names += NameOf(candidate);
      --left;
      names += left > 1 ? ", " : left == 1 ? " or " : "";
    }
    status_->Update(RefuseOption(
        name, static_cast<int>(member) == 0 ? "nothing" : NameOf(member),
        names));
  }

 private:
  absl::Status* status_;
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_OPTIONS_H_
