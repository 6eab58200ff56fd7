#include "server/listen/tcp_sockets.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"

namespace lossd {
namespace {

using Found = std::unique_ptr<addrinfo, decltype(&freeaddrinfo)>;

absl::Status CannotListen(const ListenAddress& address, const char* why) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen on ", address.text, ": ", why));
}

absl::StatusOr<Found> Resolve(const ListenAddress& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(
      address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (code != 0) return CannotListen(address, gai_strerror(code));
  return Found(found, freeaddrinfo);
}

bool IsLoopback(const sockaddr& address) {
  if (address.sa_family == AF_INET) {
    const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(address);
    return ntohl(ipv4.sin_addr.s_addr) >> IN_CLASSA_NSHIFT == IN_LOOPBACKNET;
  }
  const auto& ipv6 = reinterpret_cast<const sockaddr_in6&>(address);
  return address.sa_family == AF_INET6 &&
         IN6_IS_ADDR_LOOPBACK(&ipv6.sin6_addr) != 0;
}

void SetOptions(int socket, const addrinfo& where) {
  const auto set = [socket](int level, int name, int value) {
    setsockopt(socket, level, name, &value, sizeof(value));
  };
  // Or a port would look used for a minute after a restart.
  set(SOL_SOCKET, SO_REUSEADDR, 1);
  // Connections inherit it.
  set(IPPROTO_TCP, TCP_NODELAY, 1);
  if (where.ai_family != AF_INET6) return;
  const auto& ipv6 = *reinterpret_cast<const sockaddr_in6*>(where.ai_addr);
  // "[::]" is for IPv4, too.
  set(IPPROTO_IPV6, IPV6_V6ONLY,
      IN6_IS_ADDR_UNSPECIFIED(&ipv6.sin6_addr) != 0 ? 0 : 1);
}

uint16_t& PortOf(sockaddr& address) {
  return address.sa_family == AF_INET6
             ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
             : reinterpret_cast<sockaddr_in&>(address).sin_port;
}

// An empty descriptor, with errno, if that is not possible.
Descriptor Listen(const addrinfo& where) {
  Descriptor socket(
      ::socket(where.ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.number() < 0) return socket;
  SetOptions(socket.number(), where);
  if (bind(socket.number(), where.ai_addr, where.ai_addrlen) == 0 &&
      listen(socket.number(), SOMAXCONN) == 0) {
    return socket;
  }
  return {};
}

// Files of hosts name addresses twice.
bool IsRepeated(const addrinfo* first, const addrinfo& where) {
  for (const addrinfo* i = first; i != &where; i = i->ai_next) {
    // Their ports may differ by now.
    PortOf(*where.ai_addr) = PortOf(*i->ai_addr);
    if (i->ai_addrlen == where.ai_addrlen &&
        std::memcmp(i->ai_addr, where.ai_addr, where.ai_addrlen) == 0) {
      return true;
    }
  }
  return false;
}

// Port 0 is the one that the first address gets.
absl::StatusOr<TcpSockets> ListenAll(const ListenAddress& address,
                                     addrinfo* first) {
  TcpSockets listening{.sockets = {}, .port = address.port};
  int error = 0;
  for (addrinfo* i = first; i != nullptr; i = i->ai_next) {
    if (IsRepeated(first, *i)) continue;
    PortOf(*i->ai_addr) = htons(static_cast<uint16_t>(listening.port));
    Descriptor socket = Listen(*i);
    if (socket.number() >= 0) {
      sockaddr_storage bound = {};
      socklen_t size = sizeof(bound);
      getsockname(socket.number(), reinterpret_cast<sockaddr*>(&bound), &size);
      listening.port = ntohs(PortOf(reinterpret_cast<sockaddr&>(bound)));
      listening.sockets.push_back(std::move(socket));
      continue;
    }
    error = errno;
    // A port that is taken on one of the addresses must not go unnoticed.
    if (error == EADDRINUSE) break;
  }
  if (listening.sockets.empty() || error == EADDRINUSE) {
    return CannotListen(address, strerror(error));
  }
  return listening;
}

}  // namespace

absl::StatusOr<TcpSockets> ListenTcp(const ListenAddress& address) {
  absl::StatusOr<Found> found = Resolve(address);
  LOSSD_RETURN_IF_ERROR(found.status());
  absl::StatusOr<TcpSockets> listening = ListenAll(address, found->get());
  // A port that is free on the first address may be taken on the second.
  for (int retries = 8; address.port == 0 && !listening.ok() && retries > 0;
       --retries) {
    listening = ListenAll(address, found->get());
  }
  return listening;
}

absl::StatusOr<bool> IsLoopback(const ListenAddress& address) {
  const absl::StatusOr<Found> found = Resolve(address);
  LOSSD_RETURN_IF_ERROR(found.status());
  for (const addrinfo* i = found->get(); i != nullptr; i = i->ai_next) {
    if (!IsLoopback(*i->ai_addr)) return false;
  }
  return true;
}

}  // namespace lossd
