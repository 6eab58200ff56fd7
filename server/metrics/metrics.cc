#include "server/metrics/metrics.h"

#include <grpcpp/version_info.h>
#include <prometheus/text_serializer.h>

#include <utility>
#include <vector>

#include "lib/core/numerics.h"
#include "server/version.h"

namespace lossd {

Metrics::Metrics(int compute_threads, bool tls)
    : resources_(families_, compute_threads), access_(families_, tls) {
  families_
      .Gauge("lossd_start_time_seconds",
             "When the server started, in seconds since 1970.")
      .SetToCurrentTime();
  families_.Gauges("lossd_build_info", "Always 1.")
      .Add({{"version", kVersion},
            {"grpc", GRPC_CPP_VERSION_STRING},
            {"simd", std::string(SimdTarget())},
            {"numerics_version", std::string(NumericsVersion())}})
      .Set(1);
}

std::string Metrics::Text() const {
  std::vector<prometheus::MetricFamily> families = families_.Collect();
  for (prometheus::MetricFamily& family : process_.Collect()) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace lossd
