// Addresses to listen on.

#ifndef LOSSD_SERVER_LISTEN_LISTEN_ADDRESS_H_
#define LOSSD_SERVER_LISTEN_LISTEN_ADDRESS_H_

#include <string>

#include "absl/status/statusor.h"

namespace lossd {

struct ListenAddress {
  // "127.0.0.1:50051", "[::1]:0", "unix:/tmp/lossd".
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

// The address with the port that was bound instead of 0.
std::string WithPort(const ListenAddress& address, int port);

}  // namespace lossd

#endif  // LOSSD_SERVER_LISTEN_LISTEN_ADDRESS_H_
