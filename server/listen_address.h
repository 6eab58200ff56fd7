// Addresses to listen on, and whether they are free. gRPC itself neither says
// why it could not bind nor notices a Unix path that somebody serves.

#ifndef LOSSD_SERVER_LISTEN_ADDRESS_H_
#define LOSSD_SERVER_LISTEN_ADDRESS_H_

#include <sys/un.h>

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace lossd {

struct ListenAddress {
  // As gRPC takes it: "127.0.0.1:50051", "[::1]:0", "unix:/tmp/lossd".
  std::string text;
  // For TCP; an IPv6 address without its brackets.
  std::string host;
  int port = 0;
  // For a Unix socket; empty for TCP.
  std::string unix_path;
};

// INVALID_ARGUMENT unless `text` is HOST:PORT or unix:PATH.
absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text);

// Whether both would listen on the same socket. Port 0 is another one each
// time.
bool SameSocket(const ListenAddress& a, const ListenAddress& b);

// FAILED_PRECONDITION, one line, if nobody can listen there now: the port is in
// use, the host is not of this machine, somebody answers at the Unix path, or
// something that is no socket lies there. Removes a socket file on which
// nobody answers.
absl::Status CheckFree(const ListenAddress& address);

// As the system calls for sockets take `address.unix_path`.
sockaddr_un UnixName(const ListenAddress& address);

// The address with the port that was bound instead of 0.
std::string WithPort(const ListenAddress& address, int port);

}  // namespace lossd

#endif  // LOSSD_SERVER_LISTEN_ADDRESS_H_
