// The other end of the arena socket, and what can be seen of memory and
// descriptors.

#ifndef LOSSD_TESTS_SERVER_ARENA_ARENA_CLIENT_H_
#define LOSSD_TESTS_SERVER_ARENA_ARENA_CLIENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "proto/arena/descriptor.h"
#include "proto/arena/protocol.h"

namespace lossd {

// A client that does as it is told, nonsense included.
class ArenaClient {
 public:
  struct Answer {
    arena::Reply reply;
    // Empty if none came.
    Descriptor file;
  };

  ArenaClient();
  // Fails the test if nobody listens there.
  explicit ArenaClient(const std::string& path);
  bool Connect(const std::string& path) const;

  // False if the connection is over.
  bool Send(const arena::Request& request) const;
  // With copies of these descriptors.
  bool SendPacket(std::span<const std::byte> packet,
                  const std::vector<int>& descriptors = {}) const;
  // False if the connection is over, or there is no room for it now.
  bool SendWithoutWaiting(const arena::Request& request) const;
  // Waits for a reply; nothing if the connection is over.
  std::optional<Answer> Receive() const;

  // A request and its reply, or an empty one if the connection is over.
  Answer Create(uint64_t bytes) const;
  Answer Free(const arena::Id& id) const;

  int descriptor() const { return socket_.number(); }

 private:
  Answer Ask(const arena::Request& request) const;

  Descriptor socket_;
};

// All of a file, mapped as a client would.
class Mapping {
 public:
  explicit Mapping(int file);
  ~Mapping();
  Mapping(const Mapping&) = delete;
  Mapping& operator=(const Mapping&) = delete;

  std::span<std::byte> bytes() const { return bytes_; }

 private:
  std::span<std::byte> bytes_;
};

Descriptor Duplicate(int file);
// What the file takes in memory.
int64_t BytesInMemory(int file);
// Of arenas, the server's and the clients'.
size_t MappedArenas();

// While it is there, no descriptor can be opened.
class NoDescriptors {
 public:
  NoDescriptors();
  ~NoDescriptors();
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  uint64_t allowed_ = 0;
};

// What `step` returns while no descriptor can be opened. No matcher may run in
// it: the undefined behaviour sanitizer checks their types with the help of
// descriptors, and takes the lack of one for a finding.
template <class Step>
auto WithoutDescriptors(const Step& step) {
  const NoDescriptors none;
  return step();
}

template <class Condition>
void WaitUntil(const Condition& condition) {
  while (!condition()) std::this_thread::yield();
}

}  // namespace lossd

#endif  // LOSSD_TESTS_SERVER_ARENA_ARENA_CLIENT_H_
