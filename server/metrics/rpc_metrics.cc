#include "server/metrics/rpc_metrics.h"

#include <cassert>

#include "server/metrics/code_counters.h"

namespace lossd {
namespace {

using prometheus::Counter;
using prometheus::Gauge;

constexpr std::array kMethodNames = {"Compute", "ComputeStream", "ListLosses",
                                     "GetServerInfo", "other"};

const std::vector<double> kDurationBounds = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

// Steps of 8 from 256 bytes on, and a gibibyte.
const std::vector<double> kBytesBounds = {1 << 8,  1 << 11, 1 << 14,
                                          1 << 17, 1 << 20, 1 << 23,
                                          1 << 26, 1 << 29, 1 << 30};

}  // namespace

struct RpcMetrics::Rpc::Counters {
  const char* method;
  Counter& started;
  CodeCounters completed;
  ShardedHistogram& duration;
  Gauge& in_flight;
  Counter& received;
  Counter& sent;
  ShardedHistogram& request_bytes;
  ShardedHistogram& response_bytes;
};

RpcMetrics::Rpc::Rpc(RpcMetrics& metrics, Method method)
    : metrics_(metrics),
      counters_(*metrics.methods_.at(static_cast<size_t>(method))),
      start_(std::chrono::steady_clock::now()) {
  ++metrics_.in_flight_;
  counters_.started.Increment();
  counters_.in_flight.Increment();
}

RpcMetrics::Rpc::~Rpc() {
  counters_.duration.Observe(age().count());
  if (received_) {
    counters_.request_bytes.Observe(static_cast<double>(*received_));
  }
  if (sent_) counters_.response_bytes.Observe(static_cast<double>(*sent_));
  counters_.completed.Increment(code_);
  counters_.in_flight.Decrement();
  --metrics_.in_flight_;
}

const char* RpcMetrics::Rpc::method() const { return counters_.method; }

void RpcMetrics::Rpc::Received(size_t bytes) {
  received_ = received_.value_or(0) + bytes;
  counters_.received.Increment(static_cast<double>(bytes));
}

void RpcMetrics::Rpc::Sent(size_t bytes) {
  sent_ = sent_.value_or(0) + bytes;
  counters_.sent.Increment(static_cast<double>(bytes));
}

RpcMetrics::RpcMetrics(Families& families) {
  auto& started = families.Counters("lossd_rpc_started_total", "RPCs begun.");
  auto& completed =
      families.Counters("lossd_rpc_completed_total", "RPCs ended, by status.");
  auto& duration =
      families.Histograms("lossd_rpc_duration_seconds",
                          "From an RPC's headers to its end.", kDurationBounds);
  auto& in_flight =
      families.Gauges("lossd_rpc_in_flight", "RPCs begun and not ended.");
  auto& received = families.Counters("lossd_rpc_received_bytes_total",
                                     "Bytes of request messages.");
  auto& sent =
      families.Counters("lossd_rpc_sent_bytes_total", "Bytes of replies.");
  auto& request_bytes = families.Histograms(
      "lossd_rpc_request_bytes",
      "Bytes of the messages received in an RPC that ended, if it had any.",
      kBytesBounds);
  auto& response_bytes = families.Histograms(
      "lossd_rpc_response_bytes",
      "Bytes of the messages sent in an RPC that ended, if it had any.",
      kBytesBounds);
  for (size_t i = 0; i < kMethodNames.size(); ++i) {
    const prometheus::Labels labels = {{"method", kMethodNames[i]}};
    methods_[i].reset(new Rpc::Counters{
        kMethodNames[i], started.Add(labels), CodeCounters(completed, labels),
        duration.Add(labels), in_flight.Add(labels), received.Add(labels),
        sent.Add(labels), request_bytes.Add(labels),
        response_bytes.Add(labels)});
    for (size_t code = 0; code < CodeCounters::kCodes; ++code) {
      methods_[i]->completed.Make(static_cast<absl::StatusCode>(code));
    }
  }
}

RpcMetrics::~RpcMetrics() {
  // Also tells the thread sanitizer that all RPCs have ended before: it does
  // not see how gRPC waits for them.
  assert(in_flight_ == 0);
}

}  // namespace lossd
