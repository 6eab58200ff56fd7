// Arenas: memory that a caller on the server's machine shares with it.
//
//   absl::StatusOr<lossd::ClientArena> arena = client.CreateArena(64 << 20);
//   std::span<float> predictions = *arena->Allocate<float>(rows * classes);
//   std::span<float> gradient = *arena->Allocate<float>(rows * classes);
//   call.predictions = lossd::ViewOf(predictions, {rows, classes});
//   call.gradient = lossd::MutableViewOf(gradient);
//   client.Compute(call);

#ifndef LOSSD_CLIENT_ARENA_H_
#define LOSSD_CLIENT_ARENA_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lossd {

namespace client_internal {
class ArenaMemory;
}  // namespace client_internal

// How an arena is made.
struct ArenaOptions {
  // Whether ordinary memory will do when the server offers no arenas or its
  // arena socket cannot be connected to. Calls are the same then, and their
  // tensors travel in messages.
  bool fall_back = false;
  // "unix:PATH": the arena socket as this process sees it, which may be
  // elsewhere in a container. Empty: what the server says.
  std::string address = {};
};

// Elements of arrays; uint8_t are those of DTYPE_BOOL, uint16_t the bits of
// half types.
template <typename T>
concept ArenaElement = std::same_as<T, float> || std::same_as<T, double> ||
    std::same_as<T, int32_t> || std::same_as<T, int64_t> ||
    std::same_as<T, uint8_t> || std::same_as<T, uint16_t>;

// Memory shared with the server. Arrays and destinations of Compute and
// ComputeBatch that lie in an arena of the same Client, or of a copy of it, are
// not sent: the server reads and writes them where they are. Ordinary ones may
// stand beside them.
//
// Cheap to copy: copies share the memory. It stays mapped, and spans of it stay
// valid, until the last copy and the last call that uses it have gone. Then the
// server is told, and its answer waited for, ClientOptions::deadline at most.
// May outlive its Client. Thread-safe. A moved-from ClientArena may only be
// assigned to or destroyed.
class ClientArena {
 public:
  // Room for `count` elements, aligned to 64 bytes: zeros, or what was there
  // before Clear(). RESOURCE_EXHAUSTED if it does not fit, FAILED_PRECONDITION
  // after Free().
  template <ArenaElement T>
  absl::StatusOr<std::span<T>> Allocate(size_t count) {
    absl::StatusOr<void*> begin = AllocateBytes(count, sizeof(T));
    if (!begin.ok()) return begin.status();
    return std::span<T>(static_cast<T*>(*begin), count);
  }

  // Forgets all allocations: later ones get their memory.
  void Clear();

  // Gives the memory back to the server, now; calls that are under way finish
  // with it. Later ones of Compute and ComputeBatch that name it fail with
  // FAILED_PRECONDITION. It can still be read and written, but the server
  // clears it when the last call that uses it has ended. Once freed, OK.
  // UNAVAILABLE, DEADLINE_EXCEEDED or INTERNAL if the server did not confirm
  // it; the server then takes the memory when the connection ends, at the
  // latest with the last arena of the Client.
  absl::Status Free();

  // Size of the memory.
  size_t bytes() const;
  // How much of it is allocated, with what alignment took.
  size_t allocated() const;
  // Whether the server shares it; false for memory that ArenaOptions::fall_back
  // got. Does not change.
  bool shared() const;

 private:
  friend class Client;

  explicit ClientArena(std::shared_ptr<client_internal::ArenaMemory> memory);

  absl::StatusOr<void*> AllocateBytes(size_t count, size_t element_bytes);

  std::shared_ptr<client_internal::ArenaMemory> memory_;
};

}  // namespace lossd

#endif  // LOSSD_CLIENT_ARENA_H_
