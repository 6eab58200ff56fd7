#include "server/merged_item.h"

namespace lossd {
namespace {

template <class Message>
const Message* Choose(bool own, const Message& item, bool fallback,
                      const Message& defaults) {
  if (own) return &item;
  return fallback ? &defaults : nullptr;
}

}  // namespace

MergedItem Merge(const v1::LossItem& defaults, const v1::LossItem& item) {
  MergedItem merged;
  merged.loss = Choose(item.has_loss(), item.loss(), defaults.has_loss(),
                       defaults.loss());
  merged.predictions =
      Choose(item.has_predictions(), item.predictions(),
             defaults.has_predictions(), defaults.predictions());
  merged.targets = Choose(item.has_targets(), item.targets(),
                          defaults.has_targets(), defaults.targets());
  merged.sample_weights =
      Choose(item.has_sample_weights(), item.sample_weights(),
             defaults.has_sample_weights(), defaults.sample_weights());
  merged.mask = Choose(item.has_mask(), item.mask(), defaults.has_mask(),
                       defaults.mask());
  merged.upstream_gradient =
      Choose(item.has_upstream_gradient(), item.upstream_gradient(),
             defaults.has_upstream_gradient(), defaults.upstream_gradient());
  merged.outputs = Choose(item.has_outputs(), item.outputs(),
                          defaults.has_outputs(), defaults.outputs());
  for (const v1::LossItem* from : {&defaults, &item}) {
    for (const auto& [name, tensor] : from->extra_inputs()) {
      merged.extra_inputs[name] = &tensor;
    }
    if (from->has_normalizer()) merged.normalizer = from->normalizer();
    if (from->reduction() != v1::REDUCTION_UNSPECIFIED) {
      merged.reduction = from->reduction();
    }
    if (from->semantics() != v1::SEMANTICS_UNSPECIFIED) {
      merged.semantics = from->semantics();
    }
  }
  return merged;
}

}  // namespace lossd
