#include "server/shared_tensors.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace lossd {

void SharedTensors::Collect(const v1::LossItem& defaults) {
  const auto add = [&](std::string path, bool given,
                       const v1::Tensor& message) {
    if (!given) return;
    Shared& shared = tensors_.emplace_back();
    shared.path = std::move(path);
    shared.message = &message;
  };
  add("predictions", defaults.has_predictions(), defaults.predictions());
  add("targets", defaults.has_targets(), defaults.targets());
  add("sample_weights", defaults.has_sample_weights(),
      defaults.sample_weights());
  add("mask", defaults.has_mask(), defaults.mask());
  add("upstream_gradient", defaults.has_upstream_gradient(),
      defaults.upstream_gradient());
  for (const auto& [name, tensor] : defaults.extra_inputs()) {
    add(absl::StrCat("extra_inputs.", name), true, tensor);
  }
}

void SharedTensors::Decode(size_t index,
                           const wire::ReceivedPayloads& payloads) {
  Shared& shared = tensors_[index];
  shared.status = shared.tensor.Decode(shared.path, *shared.message, payloads);
}

const SharedTensors::Shared* SharedTensors::Find(
    const v1::Tensor& message) const {
  const auto found = std::ranges::find(tensors_, &message, &Shared::message);
  return found == tensors_.end() ? nullptr : &*found;
}

}  // namespace lossd
