#ifndef LOSSD_SERVER_METRICS_LOSS_METRICS_H_
#define LOSSD_SERVER_METRICS_LOSS_METRICS_H_

#include <cstddef>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "server/metrics/families.h"

namespace lossd {

// Items that ended alike.
struct EndedItems {
  std::string loss;
  absl::StatusCode code = absl::StatusCode::kOk;
  size_t items = 0;
  // Predictions, of items that were computed.
  size_t elements = 0;
  // Items that were computed to a loss that is not finite.
  size_t nonfinite = 0;
};

// What is counted for each loss. Thread-safe.
class LossMetrics {
 public:
  explicit LossMetrics(Families& families);
  ~LossMetrics();

  // A loss that the registry does not know is counted as "unknown".
  void Count(const EndedItems& ended);

 private:
  struct Counters;
  std::map<std::string, std::unique_ptr<Counters>> losses_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_LOSS_METRICS_H_
