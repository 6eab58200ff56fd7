#include "server/metrics/loss_metrics.h"

#include <vector>

#include "lib/losses/registry.h"
#include "server/metrics/code_counters.h"

namespace lossd {
namespace {

constexpr char kUnknownLoss[] = "unknown";

}  // namespace

struct LossMetrics::Counters {
  CodeCounters items;
  prometheus::Counter& elements;
  prometheus::Counter& nonfinite;
};

LossMetrics::LossMetrics(Families& families) {
  auto& items = families.Counters("lossd_items_total", "Items, by status.");
  auto& elements = families.Counters("lossd_item_elements_total",
                                     "Predictions of computed items.");
  auto& nonfinite = families.Counters(
      "lossd_nonfinite_outputs_total",
      "Computed items whose loss is infinite or not a number.");
  std::vector<std::string> names = {kUnknownLoss};
  for (const auto& entry : AllLosses::kTable) names.emplace_back(entry.name);
  for (const std::string& name : names) {
    const prometheus::Labels labels = {{"loss", name}};
    losses_[name].reset(new Counters{CodeCounters(items, labels),
                                     elements.Add(labels),
                                     nonfinite.Add(labels)});
    losses_[name]->items.Make(absl::StatusCode::kOk);
    losses_[name]->items.Make(absl::StatusCode::kInvalidArgument);
  }
}

LossMetrics::~LossMetrics() = default;

void LossMetrics::Count(const EndedItems& ended) {
  const auto found = losses_.find(ended.loss);
  Counters& counters =
      found != losses_.end() ? *found->second : *losses_.at(kUnknownLoss);
  counters.items.Increment(ended.code, static_cast<double>(ended.items));
  if (ended.elements > 0) {
    counters.elements.Increment(static_cast<double>(ended.elements));
  }
  if (ended.nonfinite > 0) {
    counters.nonfinite.Increment(static_cast<double>(ended.nonfinite));
  }
}

}  // namespace lossd
