// The figures of `lossctl bench`, for people and for programs.

#ifndef LOSSD_CLIENT_CLI_BENCH_REPORT_H_
#define LOSSD_CLIENT_CLI_BENCH_REPORT_H_

#include <cstdint>
#include <optional>
#include <ostream>
#include <string>

#include "client/cli/bench_run.h"
#include "client/cli/json.h"

namespace lossd::cli {

struct BenchReport {
  BenchFigures figures;
  // Sent before the figures, and not in them.
  int64_t warmup_calls = 0;
  int callers = 0;
  int connections = 0;
  std::optional<double> rate;
  // Whether answers were compared.
  bool check = false;
};

// Latencies in milliseconds; null without calls.
Json ToJson(const BenchReport& report);

void PrintText(const BenchReport& report, std::ostream& out);

// What went wrong, in a sentence: "3 of 10 calls failed, ..."; empty if nothing
// did.
std::string BenchComplaint(const BenchFigures& figures);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_BENCH_REPORT_H_
