// Sizes of tensors. Internal to the client and lossctl.

#ifndef LOSSD_CLIENT_SIZES_H_
#define LOSSD_CLIENT_SIZES_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "lossd/v1/tensor.pb.h"

namespace lossd::client_internal {

// Bytes of an element; 0 if there is no such type.
size_t SizeOf(v1::Dtype dtype);

// Elements of a tensor of this shape; unset if no tensor can have it.
std::optional<int64_t> Product(std::span<const int64_t> sizes);

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_SIZES_H_
