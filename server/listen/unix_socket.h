// Sockets that listen on a path.

#ifndef LOSSD_SERVER_LISTEN_UNIX_SOCKET_H_
#define LOSSD_SERVER_LISTEN_UNIX_SOCKET_H_

#include <sys/types.h>

#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "proto/arena/descriptor.h"
#include "server/listen/listen_address.h"

namespace lossd {

// Listens on a path. Of several that begin at the same moment, in processes of
// one machine, one gets it.
class UnixSocket {
 public:
  // `type` is SOCK_STREAM or SOCK_SEQPACKET; `group` may connect besides the
  // process's own user, without it whoever the umask allows to. Removes a
  // socket file on which nobody answers. FAILED_PRECONDITION, one line, if
  // somebody answers there, if something that is no socket lies there, or if
  // the file or its group is not allowed.
  static absl::StatusOr<std::unique_ptr<UnixSocket>> Listen(
      const ListenAddress& address, int type, std::optional<gid_t> group);

  // Removes the file, unless another one lies there now.
  ~UnixSocket();
  UnixSocket(const UnixSocket&) = delete;
  UnixSocket& operator=(const UnixSocket&) = delete;

  // Does not block.
  int descriptor() const { return socket_.number(); }

 private:
  UnixSocket(Descriptor socket, std::string path);

  const Descriptor socket_;
  const std::string path_;
  // What tells its file from any other.
  dev_t device_ = 0;
  ino_t inode_ = 0;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_LISTEN_UNIX_SOCKET_H_
