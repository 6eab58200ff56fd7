// What a lossd must answer, from the library in this process: the only part of
// lossctl that computes.

#ifndef LOSSD_CLIENT_CLI_BENCH_EXPECTED_H_
#define LOSSD_CLIENT_CLI_BENCH_EXPECTED_H_

#include <string>

#include "absl/status/statusor.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd::cli {

// The arithmetic of the library: a server of another one has other bits.
std::string LibraryNumericsVersion();

// Loss, row losses and gradients, as the outputs of `item` ask for them, of an
// item of MakeItem: predictions, targets, extra inputs and the options
// of SetNeededOptions. INVALID_ARGUMENT for what the library refuses.
absl::StatusOr<v1::LossResult> ExpectedResult(const v1::LossItem& item);

// Whether loss, row losses and gradients have the same bits.
bool SameBits(const v1::LossResult& a, const v1::LossResult& b);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_BENCH_EXPECTED_H_
