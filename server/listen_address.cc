#include "server/listen_address.h"

#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <memory>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "proto/arena/descriptor.h"

namespace lossd {
namespace {

constexpr char kUnixPrefix[] = "unix:";

absl::Status CannotListen(const ListenAddress& address,
                          const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen on ", address.text, ": ", why));
}

absl::StatusOr<ListenAddress> ParseUnix(const std::string& text) {
  ListenAddress address;
  address.text = text;
  address.unix_path = std::string(absl::StripPrefix(text, kUnixPrefix));
  constexpr size_t kMaxLength = sizeof(sockaddr_un::sun_path) - 1;
  if (address.unix_path.empty() || address.unix_path.size() > kMaxLength) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "': the path must have 1 to ", kMaxLength, " bytes"));
  }
  return address;
}

// 0, or errno of a bind to this address.
int TryBind(const addrinfo& candidate) {
  const Descriptor socket(
      ::socket(candidate.ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (socket.number() < 0) return errno;
  const int on = 1;
  // As gRPC does, or a port would look used for a minute after a restart.
  setsockopt(socket.number(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (candidate.ai_family == AF_INET6) {
    setsockopt(socket.number(), IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
  }
  return bind(socket.number(), candidate.ai_addr, candidate.ai_addrlen) == 0
             ? 0
             : errno;
}

absl::Status CheckTcp(const ListenAddress& address) {
  addrinfo hints = {};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_PASSIVE;
  addrinfo* found = nullptr;
  const int code = getaddrinfo(
      address.host.c_str(), absl::StrCat(address.port).c_str(), &hints, &found);
  if (code != 0) return CannotListen(address, gai_strerror(code));
  const std::unique_ptr<addrinfo, decltype(&freeaddrinfo)> owner(found,
                                                                 freeaddrinfo);
  // A name may stand for several addresses. gRPC is content with one of them,
  // so a port that is taken on another would go unnoticed.
  bool bound = false;
  int error = 0;
  for (const addrinfo* i = found; i != nullptr; i = i->ai_next) {
    const int result = TryBind(*i);
    if (result == 0) bound = true;
    if (result == EADDRINUSE) return CannotListen(address, strerror(result));
    if (result != 0) error = result;
  }
  return bound ? absl::OkStatus() : CannotListen(address, strerror(error));
}

absl::Status CheckUnix(const ListenAddress& address) {
  struct stat status = {};
  if (lstat(address.unix_path.c_str(), &status) != 0) {
    const std::filesystem::path folder =
        std::filesystem::path(address.unix_path).parent_path();
    const bool writable =
        errno == ENOENT &&
        access(folder.empty() ? "." : folder.c_str(), W_OK | X_OK) == 0;
    return writable ? absl::OkStatus() : CannotListen(address, strerror(errno));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return CannotListen(address, "the path exists and is no socket");
  }
  const sockaddr_un name = UnixName(address);
  const Descriptor socket(
      ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // EAGAIN: somebody listens and is busy; EPROTOTYPE: with a socket of another
  // type, as that of arenas is.
  if (connect(socket.number(), reinterpret_cast<const sockaddr*>(&name),
              sizeof(name)) == 0 ||
      errno == EAGAIN || errno == EPROTOTYPE) {
    return CannotListen(address, "somebody answers there");
  }
  if (errno != ECONNREFUSED || unlink(address.unix_path.c_str()) != 0) {
    return CannotListen(address, strerror(errno));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text) {
  if (absl::StartsWith(text, kUnixPrefix)) return ParseUnix(text);
  ListenAddress address;
  address.text = text;
  const size_t colon = text.rfind(':');
  bool valid = colon != std::string::npos && colon > 0;
  if (valid) {
    address.host = text.substr(0, colon);
    valid = absl::SimpleAtoi(text.substr(colon + 1), &address.port) &&
            address.port >= 0 && address.port <= 65535;
    const bool bracketed =
        address.host.front() == '[' && address.host.back() == ']';
    if (bracketed) address.host = address.host.substr(1, colon - 2);
    valid = valid && !address.host.empty() &&
            (bracketed || address.host.find(':') == std::string::npos);
  }
  if (!valid) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "' is neither HOST:PORT (port 0 to 65535) nor unix:PATH"));
  }
  return address;
}

bool SameSocket(const ListenAddress& a, const ListenAddress& b) {
  if (a.unix_path.empty() != b.unix_path.empty()) return false;
  if (a.unix_path.empty()) {
    return a.host == b.host && a.port == b.port && a.port != 0;
  }
  return std::filesystem::path(a.unix_path).lexically_normal() ==
         std::filesystem::path(b.unix_path).lexically_normal();
}

absl::Status CheckFree(const ListenAddress& address) {
  return address.unix_path.empty() ? CheckTcp(address) : CheckUnix(address);
}

sockaddr_un UnixName(const ListenAddress& address) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  address.unix_path.copy(name.sun_path, sizeof(name.sun_path) - 1);
  return name;
}

std::string WithPort(const ListenAddress& address, int port) {
  if (!address.unix_path.empty()) return address.text;
  return absl::StrCat(address.text.substr(0, address.text.rfind(':') + 1),
                      port);
}

}  // namespace lossd
