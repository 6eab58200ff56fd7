// Bytes of tensors beside the message that they belong to.
//
// In a message whose payloads are apart, every field with the bytes of a tensor
// (Tensor.data, StreamChunk.data) holds the number of a payload instead, as
// four bytes. All other fields are as ever, and so are the generated classes.

#ifndef LOSSD_PROTO_WIRE_PAYLOADS_H_
#define LOSSD_PROTO_WIRE_PAYLOADS_H_

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>

namespace lossd::wire {

// What stands in a message for payload number `index`.
inline std::string MarkerOf(uint32_t index) {
  std::string marker(sizeof(index), '\0');
  std::memcpy(marker.data(), &index, sizeof(index));
  return marker;
}

inline uint32_t IndexOf(const char* marker) {
  uint32_t index = 0;
  std::memcpy(&index, marker, sizeof(index));
  return index;
}

inline constexpr size_t kMarkerSize = sizeof(uint32_t);

// The bytes of one tensor, in order, in one piece or several. Borrowed.
class Payload {
 public:
  Payload() = default;
  explicit Payload(std::span<const std::byte> whole)
      : size_(whole.size()), whole_(whole) {}
  Payload(std::span<const std::span<const std::byte>> pieces, size_t size)
      : size_(size), pieces_(pieces) {
    if (pieces.size() == 1) whole_ = pieces[0];
  }

  size_t size() const { return size_; }

  // Whether there is one piece (or none): whole() has all bytes.
  bool is_whole() const { return pieces_.size() < 2; }
  std::span<const std::byte> whole() const { return whole_; }

  // All bytes, whole or not. Valid as long as this.
  std::span<const std::span<const std::byte>> pieces() const {
    return is_whole() ? std::span(&whole_, 1) : pieces_;
  }

 private:
  size_t size_ = 0;
  std::span<const std::byte> whole_;
  std::span<const std::span<const std::byte>> pieces_;
};

}  // namespace lossd::wire

#endif  // LOSSD_PROTO_WIRE_PAYLOADS_H_
