#include "server/metrics.h"

#include <grpcpp/version_info.h>
#include <prometheus/text_serializer.h>

#include <cassert>
#include <utility>

#include "lib/core/numerics.h"
#include "lib/losses/registry.h"
#include "server/process_metrics.h"
#include "server/version.h"

namespace lossd {
namespace {

using prometheus::BuildCounter;
using prometheus::BuildGauge;
using prometheus::BuildHistogram;
using prometheus::Counter;
using prometheus::Family;
using prometheus::Gauge;
using prometheus::Histogram;

constexpr std::array kMethodNames = {"Compute", "ComputeStream", "ListLosses",
                                     "GetServerInfo", "other"};
constexpr char kUnknownLoss[] = "unknown";

const Histogram::BucketBoundaries kDurationBuckets = {
    0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025,
    0.05,   0.1,     0.25,   0.5,   1,      2.5,   5,    10};

Family<Counter>& Count(prometheus::Registry& registry, const char* name,
                       const char* help) {
  return BuildCounter().Name(name).Help(help).Register(registry);
}

Gauge& Single(prometheus::Registry& registry, const char* name,
              const char* help) {
  return BuildGauge().Name(name).Help(help).Register(registry).Add({});
}

}  // namespace

CodeCounters::CodeCounters(Family<Counter>& family, prometheus::Labels labels)
    : family_(family), labels_(std::move(labels)) {}

void CodeCounters::Increment(absl::StatusCode code, double amount) {
  std::atomic<Counter*>& slot =
      counters_.at(static_cast<size_t>(code) % counters_.size());
  Counter* counter = slot.load(std::memory_order_acquire);
  if (counter == nullptr) {
    prometheus::Labels labels = labels_;
    labels["code"] = absl::StatusCodeToString(code);
    // Two threads at once get the same counter.
    counter = &family_.Add(labels);
    slot.store(counter, std::memory_order_release);
  }
  counter->Increment(amount);
}

struct Metrics::Rpc::Counters {
  Counter& started;
  CodeCounters completed;
  Histogram& duration;
  Gauge& in_flight;
  Counter& received;
  Counter& sent;
};

struct Metrics::LossCounters {
  CodeCounters items;
  Counter& elements;
};

Metrics::Rpc::Rpc(Metrics& metrics, Method method)
    : metrics_(metrics),
      counters_(*metrics.methods_.at(static_cast<size_t>(method))),
      start_(std::chrono::steady_clock::now()) {
  ++metrics_.in_flight_;
  counters_.started.Increment();
  counters_.in_flight.Increment();
}

Metrics::Rpc::~Rpc() {
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start_;
  counters_.duration.Observe(seconds.count());
  counters_.completed.Increment(code_);
  counters_.in_flight.Decrement();
  --metrics_.in_flight_;
}

void Metrics::Rpc::Received(size_t bytes) {
  counters_.received.Increment(static_cast<double>(bytes));
}

void Metrics::Rpc::Sent(size_t bytes) {
  counters_.sent.Increment(static_cast<double>(bytes));
}

Metrics::Metrics(int compute_threads)
    : process_(std::make_shared<ProcessMetrics>()) {
  auto& started = Count(registry_, "lossd_rpc_started_total", "RPCs begun.");
  auto& completed =
      Count(registry_, "lossd_rpc_completed_total", "RPCs ended, by status.");
  auto& duration = BuildHistogram()
                       .Name("lossd_rpc_duration_seconds")
                       .Help("From an RPC's headers to its end.")
                       .Register(registry_);
  auto& in_flight = BuildGauge()
                        .Name("lossd_rpc_in_flight")
                        .Help("RPCs begun and not ended.")
                        .Register(registry_);
  auto& received = Count(registry_, "lossd_rpc_received_bytes_total",
                         "Bytes of request messages.");
  auto& sent =
      Count(registry_, "lossd_rpc_sent_bytes_total", "Bytes of replies.");
  for (size_t i = 0; i < kMethodNames.size(); ++i) {
    const prometheus::Labels labels = {{"method", kMethodNames[i]}};
    methods_[i].reset(new Rpc::Counters{
        started.Add(labels), CodeCounters(completed, labels),
        duration.Add(labels, kDurationBuckets), in_flight.Add(labels),
        received.Add(labels), sent.Add(labels)});
  }

  auto& items = Count(registry_, "lossd_items_total", "Items, by status.");
  auto& elements = Count(registry_, "lossd_item_elements_total",
                         "Predictions of computed items.");
  std::vector<std::string> names = {kUnknownLoss};
  for (const auto& entry : AllLosses::kTable) names.emplace_back(entry.name);
  for (const std::string& name : names) {
    const prometheus::Labels labels = {{"loss", name}};
    losses_[name].reset(
        new LossCounters{CodeCounters(items, labels), elements.Add(labels)});
  }

  busy_seconds_ = &Count(registry_, "lossd_compute_busy_seconds_total",
                         "Seconds that compute threads were taken; the rate "
                         "divided by lossd_compute_threads is the utilisation.")
                       .Add({});
  queue_depth_ = &Single(registry_, "lossd_queue_depth_requests",
                         "Requests that wait to be computed, or are.");
  memory_budget_ = &Single(registry_, "lossd_memory_budget_bytes",
                           "What arenas, requests and replies may take.");
  memory_reserved_ = &Single(registry_, "lossd_memory_reserved_bytes",
                             "What arenas, requests and replies are taking.");
  memory_waiting_ = &Single(registry_, "lossd_memory_waiting_requests",
                            "Requests that wait for memory.");
  auto& pool = BuildGauge()
                   .Name("lossd_buffer_pool_bytes")
                   .Help("Memory for replies, in use and kept for the next.")
                   .Register(registry_);
  pool_used_ = &pool.Add({{"state", "used"}});
  pool_free_ = &pool.Add({{"state", "free"}});
  arenas_ = &Single(registry_, "lossd_arenas", "Arenas that can be used.");
  arena_bytes_ = &Single(registry_, "lossd_arena_bytes",
                         "Memory of arenas, also of those that were freed and "
                         "are still used; part of the reserved memory.");
  arena_connections_ = &Single(registry_, "lossd_arena_connections",
                               "Connections to the arena socket.");
  arenas_created_ =
      &Count(registry_, "lossd_arenas_created_total", "Arenas made.").Add({});
  arenas_refused_ = &Count(registry_, "lossd_arenas_refused_total",
                           "Arenas refused: a limit, or no memory.")
                         .Add({});
  arena_connections_refused_ =
      &Count(registry_, "lossd_arena_connections_refused_total",
             "Connections to the arena socket refused: there were too many.")
           .Add({});
  Single(registry_, "lossd_compute_threads", "Threads that compute.")
      .Set(compute_threads);
  Single(registry_, "lossd_start_time_seconds",
         "When the server started, in seconds since 1970.")
      .SetToCurrentTime();
  BuildGauge()
      .Name("lossd_build_info")
      .Help("Always 1.")
      .Register(registry_)
      .Add({{"version", kVersion},
            {"grpc", GRPC_CPP_VERSION_STRING},
            {"simd", std::string(SimdTarget())},
            {"numerics_version", std::string(NumericsVersion())}})
      .Set(1);
}

Metrics::~Metrics() {
  // Also tells the thread sanitizer that all RPCs have ended before: it does
  // not see how gRPC waits for them.
  assert(in_flight_ == 0);
}

void Metrics::CountItems(const std::string& loss, absl::StatusCode code,
                         size_t items, size_t elements) {
  const auto found = losses_.find(loss);
  LossCounters& counters =
      found != losses_.end() ? *found->second : *losses_.at(kUnknownLoss);
  counters.items.Increment(code, static_cast<double>(items));
  if (code == absl::StatusCode::kOk) {
    counters.elements.Increment(static_cast<double>(elements));
  }
}

void Metrics::AddBusySeconds(double seconds) {
  busy_seconds_->Increment(seconds);
}

void Metrics::SetQueueDepth(size_t requests) {
  queue_depth_->Set(static_cast<double>(requests));
}

void Metrics::SetMemory(const MemoryBudget::Figures& budget,
                        const BufferPool::Figures& pool) {
  memory_budget_->Set(static_cast<double>(budget.budget));
  memory_reserved_->Set(static_cast<double>(budget.reserved));
  memory_waiting_->Set(static_cast<double>(budget.waiting));
  pool_used_->Set(static_cast<double>(pool.used));
  pool_free_->Set(static_cast<double>(pool.free));
}

void Metrics::SetArenas(const ArenaRegistry::Figures& arenas,
                        size_t connections, uint64_t refused_connections) {
  const auto advance = [](Counter* counter, uint64_t to) {
    counter->Increment(static_cast<double>(to) - counter->Value());
  };
  arenas_->Set(static_cast<double>(arenas.arenas));
  arena_bytes_->Set(static_cast<double>(arenas.bytes));
  arena_connections_->Set(static_cast<double>(connections));
  advance(arenas_created_, arenas.created);
  advance(arenas_refused_, arenas.refused);
  advance(arena_connections_refused_, refused_connections);
}

std::string Metrics::Text() const {
  std::vector<prometheus::MetricFamily> families = registry_.Collect();
  for (prometheus::MetricFamily& family : process_->Collect()) {
    families.push_back(std::move(family));
  }
  return prometheus::TextSerializer().Serialize(families);
}

}  // namespace lossd
