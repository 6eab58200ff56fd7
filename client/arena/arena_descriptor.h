// Owned file descriptors. Internal to the client.

#ifndef LOSSD_CLIENT_ARENA_ARENA_DESCRIPTOR_H_
#define LOSSD_CLIENT_ARENA_ARENA_DESCRIPTOR_H_

#include <unistd.h>

#include <utility>

namespace lossd::client_internal {

// Closes a file descriptor when it goes. Empty when moved from.
class Descriptor {
 public:
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

 private:
  int number_;
};

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_ARENA_ARENA_DESCRIPTOR_H_
