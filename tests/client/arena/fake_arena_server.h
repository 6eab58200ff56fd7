// An arena socket that answers what a test tells it to.

#ifndef LOSSD_TESTS_CLIENT_ARENA_FAKE_ARENA_SERVER_H_
#define LOSSD_TESTS_CLIENT_ARENA_FAKE_ARENA_SERVER_H_

#include <condition_variable>
#include <cstddef>
#include <functional>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "proto/arena/descriptor.h"
#include "proto/arena/protocol.h"

namespace lossd::test {

// Grants what is asked for, unless told otherwise. Thread-safe.
class FakeArenaServer {
 public:
  // Answers over a connection; false: ends it.
  using Answer =
      std::function<bool(int connection, const arena::Request& request)>;

  // Listens at a path that nobody listens at.
  explicit FakeArenaServer(std::string path);
  // Ends all connections.
  ~FakeArenaServer();
  FakeArenaServer(const FakeArenaServer&) = delete;
  FakeArenaServer& operator=(const FakeArenaServer&) = delete;

  std::string address() const { return "unix:" + path_; }

  // From the next request on.
  void SetAnswer(Answer answer);
  // Of SetAnswer, and what there is at first.
  bool Grant(int connection, const arena::Request& request);

  // Sends `bytes` with these descriptors.
  static void Send(int connection, std::span<const std::byte> bytes,
                   const std::vector<int>& files = {});
  // Of so many bytes.
  static Descriptor MemoryFile(size_t bytes, bool seal = true);

  std::vector<arena::Request> requests();
  // Connections there have ever been.
  size_t connections();
  // Waits until so many of them are open.
  void AwaitOpen(size_t count);
  // What the last arena that was granted holds.
  std::vector<std::byte> Memory();

 private:
  void Run();
  // Whether the connection goes on.
  bool Serve(int connection);

  const std::string path_;
  Descriptor listener_;
  Descriptor stop_;
  std::mutex mutex_;
  std::condition_variable changed_;
  Answer answer_;
  std::vector<arena::Request> requests_;
  size_t connections_ = 0;
  size_t open_ = 0;
  Descriptor last_{-1};
  std::thread thread_;
};

}  // namespace lossd::test

#endif  // LOSSD_TESTS_CLIENT_ARENA_FAKE_ARENA_SERVER_H_
