// Connections as they come in.

#ifndef LOSSD_SERVER_LISTEN_ACCEPTOR_H_
#define LOSSD_SERVER_LISTEN_ACCEPTOR_H_

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/status/statusor.h"
#include "proto/arena/descriptor.h"

namespace lossd {

// Accepts connections on sockets, in a thread of its own, for as long as this
// lives. While no descriptor is free it waits for one, where gRPC's own loop
// would never accept again.
class Acceptor {
 public:
  struct Handlers {
    // Gets each connection and the place of its socket.
    std::function<void(size_t, Descriptor)> accepted;
    // Runs some time after Wake, in the same thread.
    std::function<void()> woken = [] {};
  };

  // `sockets` listen and do not block; they must outlive this. `flags` are
  // accept4's, beside SOCK_CLOEXEC. FAILED_PRECONDITION, one line, if no
  // descriptor is left. Accepts nobody before Run.
  static absl::StatusOr<std::unique_ptr<Acceptor>> Make(
      std::vector<int> sockets, int flags, const std::string& name);
  ~Acceptor() { Stop(); }
  Acceptor(const Acceptor&) = delete;
  Acceptor& operator=(const Acceptor&) = delete;

  // Once.
  void Run(Handlers handlers);

  // No handler runs any more afterwards.
  void Stop();

  // Thread-safe; does nothing when it has stopped.
  void Wake();

 private:
  Acceptor(std::vector<int> sockets, int flags, std::string name,
           Descriptor wake);
  void Loop();
  // One connection of each socket, where there is one. False if nobody can be
  // accepted now.
  bool AcceptEach();

  const std::vector<int> sockets_;
  const int flags_;
  // In the log.
  const std::string name_;
  // An eventfd: the loop has something else to do than to accept.
  const Descriptor wake_;
  Handlers handlers_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_LISTEN_ACCEPTOR_H_
