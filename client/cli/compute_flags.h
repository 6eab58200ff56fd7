// The flags of `lossctl compute`.

#ifndef LOSSD_CLIENT_CLI_COMPUTE_FLAGS_H_
#define LOSSD_CLIENT_CLI_COMPUTE_FLAGS_H_

#include <CLI/App.hpp>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "lossd/v1/losses.pb.h"

namespace lossd::cli {

// Their values as given; what is not given is empty.
struct ComputeFlags {
  std::string loss;
  std::string predictions;
  std::string targets;
  // Further files, by the field of LossItem that they are sent as.
  std::map<std::string, std::string> files;
  // NAME=FILE.
  std::vector<std::string> extra_inputs;
  std::vector<std::string> extra_gradients_out;
  // The loss's own options, as text.
  std::map<std::string, std::string> options;
  std::string reduction;
  std::optional<double> normalizer;
  std::string semantics;
  std::string gradient_dtype;
  std::string gradient_out;
  std::string row_losses_out;
  bool diagnostics = false;
};

// The flags that all losses have.
void AddGeneralFlags(CLI::App& command, ComputeFlags& flags);

// The options and extra inputs of a loss. An input that is called as an option
// is left to --extra_inputs. Requires a loss of AllLosses().
void AddLossFlags(CLI::App& command, const v1::Loss& loss, ComputeFlags& flags);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_COMPUTE_FLAGS_H_
