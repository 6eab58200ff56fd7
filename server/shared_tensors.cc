#include "server/shared_tensors.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "server/merged_item.h"

namespace lossd {

void SharedTensors::Collect(const v1::LossItem& defaults) {
  VisitTensors(defaults, [this](const char* field, const std::string* key,
                                const v1::Tensor& message) {
    Shared& shared = tensors_.emplace_back();
    shared.path = key == nullptr ? field : absl::StrCat(field, ".", *key);
    shared.message = &message;
  });
}

void SharedTensors::Decode(size_t index, const TensorSources& sources) {
  Shared& shared = tensors_[index];
  shared.status = shared.tensor.Decode(shared.path, *shared.message, sources);
}

const SharedTensors::Shared* SharedTensors::Find(
    const v1::Tensor& message) const {
  const auto found = std::ranges::find(tensors_, &message, &Shared::message);
  return found == tensors_.end() ? nullptr : &*found;
}

}  // namespace lossd
