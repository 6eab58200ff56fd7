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

// The one place that knows what an item leaves to the defaults.
MergedItem Merge(const v1::LossItem& defaults, const v1::LossItem& item);

}  // namespace lossd

#endif  // LOSSD_SERVER_MERGED_ITEM_H_
