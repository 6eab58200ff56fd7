// What comes over the arena socket beside packets, on both ends of it.

#ifndef LOSSD_PROTO_ARENA_DESCRIPTOR_H_
#define LOSSD_PROTO_ARENA_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace lossd {

// Closes a file descriptor when it goes. Empty when default-constructed or
// moved from.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int number) : number_(number) {}
  Descriptor(Descriptor&& other) noexcept
      : number_(std::exchange(other.number_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(number_, other.number_);
    return *this;
  }
  ~Descriptor() {
    if (number_ >= 0) close(number_);
  }

  // Negative if empty.
  int number() const { return number_; }

  // The caller closes it.
  [[nodiscard]] int Release() { return std::exchange(number_, -1); }

 private:
  int number_ = -1;
};

}  // namespace lossd

#endif  // LOSSD_PROTO_ARENA_DESCRIPTOR_H_
