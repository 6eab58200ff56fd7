// The connection to an arena socket. Internal to the client.

#ifndef LOSSD_CLIENT_ARENA_ARENA_SOCKET_H_
#define LOSSD_CLIENT_ARENA_ARENA_SOCKET_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proto/arena/descriptor.h"
#include "proto/arena/protocol.h"

namespace lossd::client_internal {

// Asks for arenas, as proto/arena/protocol.h says. When it goes, the server
// frees all arenas that it got. Thread-safe: requests wait for each other.
//
// An answer that is none, or is overdue, leaves the connection out of step: it
// is asked nothing more then, but its arenas stay.
class ArenaSocket {
 public:
  struct Granted {
    arena::Id id;
    // As large as was wanted, for ever.
    Descriptor file;
  };

  // `address` is "unix:PATH"; connecting may take `deadline`, and so may each
  // answer. INVALID_ARGUMENT for another address; PERMISSION_DENIED if the
  // caller must not connect; UNAVAILABLE if nobody accepts.
  static absl::StatusOr<std::shared_ptr<ArenaSocket>> Connect(
      const std::string& address, absl::Duration deadline);

  // Of Connect.
  ArenaSocket(std::string address, absl::Duration deadline, Descriptor socket);

  // Both fail as the server refuses, with UNAVAILABLE if the connection has
  // ended or is out of step, DEADLINE_EXCEEDED without an answer and INTERNAL
  // for an answer that is none.
  absl::StatusOr<Granted> Create(size_t bytes);
  absl::Status Free(const arena::Id& id);

  // Whether there is somebody to ask.
  bool Usable();

  const std::string& address() const { return address_; }

 private:
  struct Answer {
    arena::Reply reply;
    std::vector<Descriptor> files;
  };

  // The answer to one request; OK if the server has done it.
  absl::StatusOr<Answer> Ask(arena::Request request);
  // What does not fail leaves the connection in step.
  absl::StatusOr<Answer> Exchange(const arena::Request& request);
  absl::StatusOr<Answer> Receive();
  absl::Status Error(absl::StatusCode code, const std::string& what) const;
  absl::Status Overdue() const;
  absl::Status Malformed(const std::string& what) const;

  const std::string address_;
  const absl::Duration deadline_;
  const Descriptor socket_;
  std::mutex mutex_;
  uint64_t last_tag_ = 0;
  bool in_step_ = true;
};

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_ARENA_ARENA_SOCKET_H_
