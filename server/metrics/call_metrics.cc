#include "server/metrics/call_metrics.h"

namespace lossd {
namespace {

constexpr std::array kReasons = {"queue_full",      "memory",
                                 "too_large",       "tenant_quota",
                                 "unauthenticated", "permission_denied"};

constexpr std::array kCauses = {"client", "deadline", "drain"};

constexpr std::array kDirections = {"received", "sent"};

const std::vector<double> kReactionBounds = {1e-4,  3.2e-4, 1e-3, 3.2e-3, 0.01,
                                             0.032, 0.1,    0.32, 1};

}  // namespace

CallMetrics::CallMetrics(Families& families) {
  auto& rejected = families.Counters("lossd_admission_rejected_total",
                                     "Calls refused, by reason.");
  for (size_t i = 0; i < kReasons.size(); ++i) {
    rejected_[i] = &rejected.Add({{"reason", kReasons[i]}});
  }
  auto& cancelled = families.Counters(
      "lossd_cancelled_total",
      "Calls that were dropped, by why, and whether some work had begun.");
  for (size_t i = 0; i < kCauses.size(); ++i) {
    const auto of = [&](const char* phase) {
      return &cancelled.Add({{"cause", kCauses[i]}, {"phase", phase}});
    };
    cancelled_[i] = {of("queued"), of("running")};
  }
  reaction_ =
      &families
           .Histograms("lossd_cancel_reaction_seconds",
                       "From the cancellation, or the deadline, of a call to "
                       "when its work was dropped.",
                       kReactionBounds)
           .Add({});
  streams_ = &families.Gauge("lossd_streams_open",
                             "Streams that have been admitted and not ended.");
  auto& messages = families.Counters("lossd_stream_messages_total",
                                     "Messages of streams, by direction.");
  for (size_t i = 0; i < kDirections.size(); ++i) {
    stream_messages_[i] = &messages.Add({{"direction", kDirections[i]}});
  }
}

void CallMetrics::Reject(Rejection reason) {
  rejected_.at(static_cast<size_t>(reason))->Increment();
}

void CallMetrics::Cancel(
    CancelCause cause, bool running,
    std::optional<std::chrono::duration<double>> reaction) {
  const Phases& phases = cancelled_.at(static_cast<size_t>(cause));
  (running ? phases.running : phases.queued)->Increment();
  if (reaction) reaction_->Observe(reaction->count());
}

}  // namespace lossd
