#ifndef LOSSD_SERVER_MERGED_ITEM_H_
#define LOSSD_SERVER_MERGED_ITEM_H_

#include <map>
#include <optional>
#include <string>

#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// An item completed by the defaults. Everything is borrowed from the two; null
// is what neither sets.
struct MergedItem {
  const v1::Loss* loss = nullptr;
  const v1::Tensor* predictions = nullptr;
  const v1::Tensor* targets = nullptr;
  const v1::Tensor* sample_weights = nullptr;
  const v1::Tensor* mask = nullptr;
  const v1::Tensor* upstream_gradient = nullptr;
  std::map<std::string, const v1::Tensor*> extra_inputs;
  v1::Reduction reduction = v1::REDUCTION_UNSPECIFIED;
  std::optional<double> normalizer;
  v1::Semantics semantics = v1::SEMANTICS_UNSPECIFIED;
  const v1::Outputs* outputs = nullptr;
};

// Calls visit(field, key, tensor) for every tensor that is set; `key` is that
// of extra_inputs, and null for all others.
void VisitTensors(const v1::LossItem& item, const auto& visit) {
  const std::string* const none = nullptr;
  if (item.has_predictions()) visit("predictions", none, item.predictions());
  if (item.has_targets()) visit("targets", none, item.targets());
  if (item.has_sample_weights()) {
    visit("sample_weights", none, item.sample_weights());
  }
  if (item.has_mask()) visit("mask", none, item.mask());
  if (item.has_upstream_gradient()) {
    visit("upstream_gradient", none, item.upstream_gradient());
  }
  for (const auto& [key, tensor] : item.extra_inputs()) {
    visit("extra_inputs", &key, tensor);
  }
}

// The same of an item completed by the defaults.
void VisitTensors(const MergedItem& item, const auto& visit) {
  const struct {
    const char* field;
    const v1::Tensor* tensor;
  } single[] = {{"predictions", item.predictions},
                {"targets", item.targets},
                {"sample_weights", item.sample_weights},
                {"mask", item.mask},
                {"upstream_gradient", item.upstream_gradient}};
  const std::string* const none = nullptr;
  for (const auto& [field, tensor] : single) {
    if (tensor != nullptr) visit(field, none, *tensor);
  }
  for (const auto& [key, tensor] : item.extra_inputs) {
    visit("extra_inputs", &key, *tensor);
  }
}

// The one place that knows what an item leaves to the defaults.
MergedItem Merge(const v1::LossItem& defaults, const v1::LossItem& item);

}  // namespace lossd

#endif  // LOSSD_SERVER_MERGED_ITEM_H_
