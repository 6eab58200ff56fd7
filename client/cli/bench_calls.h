// The requests of `lossctl bench`.

#ifndef LOSSD_CLIENT_CLI_BENCH_CALLS_H_
#define LOSSD_CLIENT_CLI_BENCH_CALLS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/bench_flags.h"
#include "client/cli/bench_run.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd::cli {

// A call for each kind, every item of other numbers, with what must be answered
// if `flags` want to check. INVALID_ARGUMENT for requests beyond the server's
// message limit, naming the flags, and for what the library refuses to compute.
absl::StatusOr<std::vector<BenchCall>> MakeCalls(
    const std::vector<BenchKind>& kinds, const BenchFlags& flags,
    const v1::GetServerInfoResponse& server);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_BENCH_CALLS_H_
