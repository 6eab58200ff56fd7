#ifndef LOSSD_SERVER_ARENA_ARENA_SOCKET_H_
#define LOSSD_SERVER_ARENA_ARENA_SOCKET_H_

#include <sys/types.h>

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proto/arena/descriptor.h"
#include "server/listen_address.h"

namespace lossd {

// A socket of packets that listens on a path, whose file its owner and one
// group may use.
class ArenaSocket {
 public:
  // `group` is a name or a number; empty: that of the process. Errors as
  // ArenaListener's.
  static absl::StatusOr<std::unique_ptr<ArenaSocket>> Listen(
      const ListenAddress& address, const std::string& group);

  // Removes the file, unless another one lies there now.
  ~ArenaSocket();
  ArenaSocket(const ArenaSocket&) = delete;
  ArenaSocket& operator=(const ArenaSocket&) = delete;

  // Does not block.
  int descriptor() const { return socket_.number(); }

 private:
  ArenaSocket(Descriptor socket, std::string path);

  const Descriptor socket_;
  const std::string path_;
  // What tells its file from any other.
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ARENA_ARENA_SOCKET_H_
