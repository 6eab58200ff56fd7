// Protocol Buffers' numbers of variable length.

#ifndef LOSSD_PROTO_WIRE_VARINT_H_
#define LOSSD_PROTO_WIRE_VARINT_H_

#include <cstddef>
#include <cstdint>

namespace lossd::wire {

// Most bytes of a number of 64 bits.
inline constexpr size_t kMaxVarintSize = 10;

enum WireType : uint8_t {
  kVarint = 0,
  kFixed64 = 1,
  kLengthDelimited = 2,
  kFixed32 = 5,
};

inline size_t VarintSize(uint64_t number) {
  size_t size = 1;
  for (; number >= 0x80; number >>= 7) ++size;
  return size;
}

// Returns the place behind the number.
inline uint8_t* WriteVarint(uint64_t number, uint8_t* to) {
  for (; number >= 0x80; number >>= 7) {
    *to++ = static_cast<uint8_t>(number | 0x80);
  }
  *to++ = static_cast<uint8_t>(number);
  return to;
}

}  // namespace lossd::wire

#endif  // LOSSD_PROTO_WIRE_VARINT_H_
