// Sockets that listen on a port.

#ifndef LOSSD_SERVER_LISTEN_TCP_SOCKETS_H_
#define LOSSD_SERVER_LISTEN_TCP_SOCKETS_H_

#include <vector>

#include "absl/status/statusor.h"
#include "proto/arena/descriptor.h"
#include "server/listen/listen_address.h"

namespace lossd {

// One for each address that a host name stands for, all with one port.
struct TcpSockets {
  // They do not block.
  std::vector<Descriptor> sockets;
  int port = 0;
};

// FAILED_PRECONDITION, one line, if the host is not of this machine or the port
// is taken on one of its addresses. Addresses of families that the machine does
// not have are left out.
absl::StatusOr<TcpSockets> ListenTcp(const ListenAddress& address);

// Whether only this machine can reach the address. INVALID_ARGUMENT, one line,
// if the host has none.
absl::StatusOr<bool> IsLoopback(const ListenAddress& address);

}  // namespace lossd

#endif  // LOSSD_SERVER_LISTEN_TCP_SOCKETS_H_
