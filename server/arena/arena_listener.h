#ifndef LOSSD_SERVER_ARENA_ARENA_LISTENER_H_
#define LOSSD_SERVER_ARENA_ARENA_LISTENER_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "server/arena/arena_registry.h"
#include "server/listen_address.h"

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

  // Ends all connections, frees their arenas, removes the socket file if it is
  // still its own.
  ~ArenaListener();
  ArenaListener(const ArenaListener&) = delete;
  ArenaListener& operator=(const ArenaListener&) = delete;

  size_t connections() const;
  // Connections refused because there were too many.
  uint64_t refused_connections() const;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ARENA_ARENA_LISTENER_H_
