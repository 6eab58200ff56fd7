#ifndef LOSSD_SERVER_ARENA_ARENA_LISTENER_H_
#define LOSSD_SERVER_ARENA_ARENA_LISTENER_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/arena/descriptor.h"
#include "server/arena/arena_registry.h"
#include "server/listen/acceptor.h"
#include "server/listen/listen_address.h"
#include "server/listen/unix_socket.h"

namespace lossd {

// Serves the arena socket: accepts connections and runs a thread for each.
class ArenaListener {
 public:
  struct Options {
    // With a unix_path.
    ListenAddress address;
    // Name or number of the group that may connect; empty: that of the process.
    std::string group;
    size_t max_connections = 64;
  };

  // INVALID_ARGUMENT for an unknown group; FAILED_PRECONDITION if the address
  // is taken or the group cannot be set. `registry` must outlive it.
  static absl::StatusOr<std::unique_ptr<ArenaListener>> Start(
      const Options& options, ArenaRegistry& registry);

  // Ends all connections, frees their arenas, whose pages are left to clients
  // that have them, removes the socket file if it is
  // still its own.
  ~ArenaListener();
  ArenaListener(const ArenaListener&) = delete;
  ArenaListener& operator=(const ArenaListener&) = delete;

  size_t connections() const { return connections_; }
  // Connections refused because there were too many, or no thread for them.
  uint64_t refused_connections() const { return refused_; }

 private:
  struct Served;

  ArenaListener(const Options& options, ArenaRegistry& registry,
                std::unique_ptr<UnixSocket> socket,
                std::unique_ptr<Acceptor> acceptor);
  void Accepted(Descriptor socket);
  // RESOURCE_EXHAUSTED if there are too many.
  absl::Status Serve(Served& served);
  void JoinFinished();

  const size_t max_connections_;
  ArenaRegistry& registry_;
  const std::unique_ptr<UnixSocket> socket_;
  std::atomic<size_t> connections_ = 0;
  std::atomic<uint64_t> refused_ = 0;
  // Of the acceptor, and then of the destructor.
  ArenaRegistry::Owner last_owner_ = 0;
  std::list<Served> served_;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ARENA_ARENA_LISTENER_H_
