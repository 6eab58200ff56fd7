#ifndef LOSSD_SERVER_ARENA_ARENA_CONNECTION_H_
#define LOSSD_SERVER_ARENA_ARENA_CONNECTION_H_

#include <cstddef>
#include <string>
#include <vector>

#include "proto/arena/descriptor.h"
#include "proto/arena/protocol.h"
#include "server/arena/arena_registry.h"

namespace lossd {

// One client of the arena socket.
class ArenaConnection {
 public:
  // `owner` is nobody else's. `registry` must outlive it.
  ArenaConnection(Descriptor socket, ArenaRegistry::Owner owner,
                  ArenaRegistry& registry);

  // Answers requests until the client goes or sends one that is malformed, or
  // Stop is called, and frees all that the client has left. Once.
  void Run();

  // Instead of Run: tells the client `why` nobody serves it. Does not block.
  void Refuse(const std::string& why);

  // Makes Run return, whatever the client does or does not. On any thread.
  void Stop();

 private:
  // False when the connection is over.
  bool ServeOne();
  bool Create(const arena::Request& request);
  bool Free(const arena::Request& request);
  // A packet of any length. False when the connection is over.
  bool Receive();
  // With a descriptor unless it is negative. 0, or errno: unless that is
  // ETOOMANYREFS, the connection is over.
  int Send(const arena::Reply& reply, int descriptor, int flags);
  // Ends the connection so that the client can still read what was sent.
  void Close();

  const Descriptor socket_;
  const ArenaRegistry::Owner owner_;
  ArenaRegistry& registry_;
  std::vector<std::byte> packet_;
  // What was wrong with it, when it is malformed.
  std::string malformed_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ARENA_ARENA_CONNECTION_H_
