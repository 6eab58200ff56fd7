#include "server/metrics/identity_metrics.h"

#include <limits>

namespace lossd {

IdentityMetrics::IdentityMetrics(Families& families)
    : calls_(families.Counters(
          "lossd_identity_calls_total",
          "Calls of Compute and ComputeStream that ended, by who called.")),
      received_(families.Counters("lossd_identity_received_bytes_total",
                                  "Bytes of their messages.")),
      throttled_(families.Counters(
          "lossd_identity_throttled_total",
          "Those refused because their caller had too much in flight.")),
      in_flight_(families.Gauges("lossd_identity_bytes_in_flight",
                                 "Bytes that their calls have reserved.")),
      limit_(families.Gauges("lossd_identity_limit_bytes",
                             "The most they may have in flight; infinite "
                             "without a limit.")) {}

void IdentityMetrics::Set(const Identities& identities) {
  const std::lock_guard lock(mutex_);
  for (auto each = series_.begin(); each != series_.end();) {
    if (identities.FindName(each->first) != nullptr) {
      ++each;
      continue;
    }
    Remove(each->second);
    each = series_.erase(each);
  }
  for (const auto& [name, identity] : identities.all()) {
    auto found = series_.find(name);
    if (found == series_.end()) found = series_.emplace(name, Add(name)).first;
    const Series& series = found->second;
    Advance(series.calls, identity.use->calls);
    Advance(series.received, identity.use->received_bytes);
    Advance(series.throttled, identity.use->throttled);
    series.in_flight.Set(static_cast<double>(identity.share->taken()));
    const int64_t limit = identity.share->limit();
    series.limit.Set(limit != MemoryShare::kUnlimited
                         ? static_cast<double>(limit)
                         : std::numeric_limits<double>::infinity());
  }
}

IdentityMetrics::Series IdentityMetrics::Add(const std::string& name) {
  const prometheus::Labels labels = {{"identity", name}};
  return {calls_.Add(labels), received_.Add(labels), throttled_.Add(labels),
          in_flight_.Add(labels), limit_.Add(labels)};
}

void IdentityMetrics::Remove(const Series& series) {
  calls_.Remove(&series.calls);
  received_.Remove(&series.received);
  throttled_.Remove(&series.throttled);
  in_flight_.Remove(&series.in_flight);
  limit_.Remove(&series.limit);
}

}  // namespace lossd
