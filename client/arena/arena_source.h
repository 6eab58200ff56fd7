// Where the arenas of a client come from. Internal to the client.

#ifndef LOSSD_CLIENT_ARENA_ARENA_SOURCE_H_
#define LOSSD_CLIENT_ARENA_ARENA_SOURCE_H_

#include <cstddef>
#include <memory>
#include <mutex>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/arena.h"
#include "client/arena/arena_memory.h"
#include "client/arena/arena_socket.h"
#include "client/arena/arena_table.h"

namespace lossd::client_internal {

// Connects to the server's arena socket when an arena is first wanted, and
// again when the connection has ended. The arenas keep it. Thread-safe but for
// Adopt.
class ArenaSource {
 public:
  // `target` is that of the client, for errors; `deadline` holds for connecting
  // and for each answer.
  ArenaSource(std::string target, absl::Duration deadline);

  // What the server says its arena socket is; empty: it offers none.
  void Adopt(std::string address) { address_ = std::move(address); }

  // What Client::CreateArena says.
  absl::StatusOr<std::shared_ptr<ArenaMemory>> Create(
      size_t bytes, const ArenaOptions& options);

  // Of the arenas that there are.
  const ArenaTable& table() const { return *table_; }

 private:
  absl::StatusOr<std::shared_ptr<ArenaSocket>> Connected(
      const std::string& address);

  const std::string target_;
  const absl::Duration deadline_;
  const std::shared_ptr<ArenaTable> table_ = std::make_shared<ArenaTable>();
  std::string address_;
  std::mutex mutex_;
  std::weak_ptr<ArenaSocket> socket_;
};

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_ARENA_ARENA_SOURCE_H_
