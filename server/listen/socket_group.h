// Which users besides lossd's own may open its Unix sockets.

#ifndef LOSSD_SERVER_LISTEN_SOCKET_GROUP_H_
#define LOSSD_SERVER_LISTEN_SOCKET_GROUP_H_

#include <sys/types.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lossd {

// The group with this name or number; that of the process if it is empty.
// INVALID_ARGUMENT, one line, if there is none.
absl::StatusOr<gid_t> SocketGroup(const std::string& group);

// Makes the socket at `path` one that its owner and the group can connect to,
// and nobody else. FAILED_PRECONDITION, one line, if that is not allowed.
absl::Status ShareSocket(const std::string& path, gid_t group);

}  // namespace lossd

#endif  // LOSSD_SERVER_LISTEN_SOCKET_GROUP_H_
