// The flags of `lossctl bench`.

#ifndef LOSSD_CLIENT_CLI_BENCH_FLAGS_H_
#define LOSSD_CLIENT_CLI_BENCH_FLAGS_H_

#include <CLI/App.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "client/cli/bench_data.h"
#include "client/cli/bench_schedule.h"
#include "lossd/v1/losses.pb.h"

namespace lossd::cli {

// Their values as given; what is not given is empty.
struct BenchFlags {
  std::optional<int> callers;
  int connections = 1;
  std::optional<double> rate;
  std::optional<double> duration_seconds;
  std::optional<int64_t> calls;
  double warmup_seconds = 0;
  std::optional<double> deadline_seconds;
  std::vector<std::string> losses;
  std::vector<int64_t> elements;
  std::vector<int64_t> rows;
  std::vector<int64_t> columns;
  int64_t items = 1;
  std::string dtype = "float32";
  bool gradient = true;
  bool row_losses = false;
  bool check = false;
};

void AddBenchFlags(CLI::App& command, BenchFlags& flags);

// One member of the mix.
struct BenchKind {
  v1::Loss loss;
  BenchShape shape;
};

// Every loss with every size. INVALID_ARGUMENT, naming the flag, for losses
// that there are not or that need what bench cannot make, elements that are no
// whole number of rows, and dtypes that predictions do not have.
absl::StatusOr<std::vector<BenchKind>> KindsOf(const BenchFlags& flags);

// INVALID_ARGUMENT for more connections than callers.
absl::StatusOr<int> CallersOf(const BenchFlags& flags);

// What is to be sent, and before that for a warm-up, unless there is none.
BenchLoad LoadOf(const BenchFlags& flags);
std::optional<BenchLoad> WarmupOf(const BenchFlags& flags);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_BENCH_FLAGS_H_
