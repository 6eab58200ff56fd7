// Where the bytes of tensors are in messages.

#ifndef LOSSD_PROTO_WIRE_LAYOUT_H_
#define LOSSD_PROTO_WIRE_LAYOUT_H_

#include <cstdint>
#include <span>

#include "lossd/v1/loss_service.pb.h"

namespace lossd::wire {

// The fields of a message under which there are tensors.
struct Layout {
  struct Field {
    int number = 0;
    // Null for the field that holds a tensor's bytes.
    const Layout* message = nullptr;
  };
  std::span<const Field> fields;

  const Field* Find(uint64_t number) const {
    for (const Field& field : fields) {
      if (static_cast<uint64_t>(field.number) == number) return &field;
    }
    return nullptr;
  }
};

// Of a message of LossService that carries tensors.
template <class Message>
const Layout& LayoutOf();

template <>
const Layout& LayoutOf<v1::ComputeRequest>();
template <>
const Layout& LayoutOf<v1::ComputeResponse>();
template <>
const Layout& LayoutOf<v1::ComputeStreamRequest>();
template <>
const Layout& LayoutOf<v1::ComputeStreamResponse>();

}  // namespace lossd::wire

#endif  // LOSSD_PROTO_WIRE_LAYOUT_H_
