// What many and large requests do to others, and to the server's memory.

#ifndef LOSSD_TESTS_BENCH_WIRE_STRESS_H_
#define LOSSD_TESTS_BENCH_WIRE_STRESS_H_

#include <string>
#include <vector>

#include "tests/bench/wire_request.h"

namespace lossd::bench {

struct Fairness {
  // The first failure; then the rest says nothing.
  grpc::Status status;
  // Requests of the large kind that were answered.
  int large_calls = 0;
  // From when a call was due to its answer, one for each that was due.
  std::vector<double> small_ms;
  std::vector<double> health_ms;
};

// For `seconds`, one caller sends `large` without a pause while others send
// `small` and health checks at a fixed rate, each through a connection of its
// own.
Fairness MeasureFairness(const std::string& address, const WireRequest& large,
                         const WireRequest& small, int seconds);

struct Outcomes {
  int served = 0;
  // The server said when to try again.
  int retryable = 0;
  int other = 0;
  // Of one of the others.
  std::string other_message;
};

// `callers` connections at once send `request`, each `calls` times, whatever
// the answers are.
Outcomes Flood(const std::string& address, const WireRequest& request,
               int callers, int calls);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_WIRE_STRESS_H_
