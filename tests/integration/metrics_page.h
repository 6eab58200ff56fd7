// The metrics page, read.

#ifndef LOSSD_TESTS_INTEGRATION_METRICS_PAGE_H_
#define LOSSD_TESTS_INTEGRATION_METRICS_PAGE_H_

#include <map>
#include <sstream>
#include <string>
#include <thread>

#include "absl/strings/numbers.h"
#include "gtest/gtest.h"
#include "tests/integration/running_server.h"

namespace lossd::test {

// Samples by name and labels, as they stand there:
// 'lossd_items_total{code="OK",loss="huber"}'.
class MetricsPage {
 public:
  explicit MetricsPage(const std::string& text) {
    std::istringstream lines(text);
    for (std::string line; std::getline(lines, line);) {
      const size_t space = line.rfind(' ');
      if (line.empty() || line[0] == '#' || space == line.npos) continue;
      double value = 0;
      EXPECT_TRUE(absl::SimpleAtod(line.substr(space + 1), &value)) << line;
      samples_[line.substr(0, space)] = value;
    }
  }

  // 0 for what is not there: counters of codes appear when they are counted.
  double operator[](const std::string& sample) const {
    const auto found = samples_.find(sample);
    return found == samples_.end() ? 0 : found->second;
  }

  // Of all samples whose names begin so.
  double Sum(const std::string& begin) const {
    double sum = 0;
    for (const auto& [name, value] : samples_) {
      if (name.rfind(begin, 0) == 0) sum += value;
    }
    return sum;
  }

 private:
  std::map<std::string, double> samples_;
};

// The page when all that was answered is counted, which happens a moment after
// the client has the answer. A second page, since one is no snapshot: RPCs may
// end between the lines of those that ended and those in flight.
inline MetricsPage SettledPage(const RunningServer& server) {
  while (MetricsPage(server.Get("/metrics")).Sum("lossd_rpc_in_flight") != 0) {
    std::this_thread::yield();
  }
  return MetricsPage(server.Get("/metrics"));
}

}  // namespace lossd::test

#endif  // LOSSD_TESTS_INTEGRATION_METRICS_PAGE_H_
