// The losses, with their options, that `lossctl compare` tries.

#ifndef LOSSD_CLIENT_CLI_COMPARE_CANDIDATES_H_
#define LOSSD_CLIENT_CLI_COMPARE_CANDIDATES_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/array_data.h"
#include "lossd/v1/losses.pb.h"

namespace lossd::cli {

// A loss to ask the server for.
struct Candidate {
  v1::Loss loss;
};

// A loss that is not worth asking for.
struct Misfit {
  std::string loss;
  std::string why_not;
};

struct Candidates {
  std::vector<Candidate> candidates;
  std::vector<Misfit> misfits;
};

// Every loss, with the options that the tensors suggest: prediction_kind as
// the predictions look, or `prediction_kind` unless that is empty;
// label_encoding ZERO_ONE for targets 0 and 1. Misfits are losses that need
// further tensors or options that have no default, losses over classes where
// there is only one class, and losses of log-probabilities where the
// predictions look like something else. Whether the others take the tensors is
// for the server to say.
//
// Each of `sweeps`, "delta=0.1,0.3,1", replaces the losses that have the
// option by one for each value. INVALID_ARGUMENT, naming the flag, for sweeps
// that cannot be read, options that no loss has, and unknown prediction kinds.
absl::StatusOr<Candidates> FindCandidates(
    const Array& predictions, const Array& targets,
    const std::string& prediction_kind, const std::vector<std::string>& sweeps);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_COMPARE_CANDIDATES_H_
