// Which loss a pair of tensors wants, and why: the rules behind `lossctl
// choose`, as functions of the tensors alone.

#ifndef LOSSD_CLIENT_CLI_CHOOSE_RULES_H_
#define LOSSD_CLIENT_CLI_CHOOSE_RULES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/array_data.h"

namespace lossd::cli {

// An option to set, with what speaks for it.
struct ChosenOption {
  // "delta", and its value as a flag takes it: "7.5".
  std::string name;
  std::string value;
  std::string evidence;
};

// A loss that was considered and not recommended.
struct Alternative {
  std::string loss;
  std::string why_not;
};

// What to use for a pair of tensors.
struct Recommendation {
  // Full name.
  std::string loss;
  // The rule that decided, in a few words: "one-hot rows".
  std::string rule;
  // What of the tensors met the rule, with the figures.
  std::string evidence;
  std::vector<ChosenOption> options;
  std::vector<Alternative> alternatives;
  // What has to be done to the files first, or looks wrong.
  std::vector<std::string> notes;
};

// The first rule that fits decides:
//   integer labels      sparse_categorical_cross_entropy
//   one-hot rows        categorical_cross_entropy
//   multi-hot rows      binary_cross_entropy; categorical_cross_entropy if the
//                       predictions are distributions over the classes
//   distributions       kullback_leibler_divergence
//   targets 0 and 1     binary_cross_entropy
//   targets -1 and +1   hinge
//   three decades       mean_squared_logarithmic_error
//   heavy tails         huber
//   else                mean_squared_error
// INVALID_ARGUMENT if the shapes fit no loss, if there is nothing to judge, or
// if there are NaNs, labels that are no class numbers or, beyond the first four
// rules, infinities. Messages begin with "--predictions" or "--targets" and
// name the element, if it is one.
absl::StatusOr<Recommendation> Choose(const Array& predictions,
                                      const Array& targets);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_CHOOSE_RULES_H_
