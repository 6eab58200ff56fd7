#include "server/listen/rpc_listener.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "server/listen/socket_group.h"
#include "server/logging.h"

namespace lossd {
namespace {

absl::StatusOr<std::optional<gid_t>> GroupOf(const std::string& name) {
  if (name.empty()) return std::nullopt;
  const absl::StatusOr<gid_t> group = SocketGroup(name);
  if (!group.ok()) return group.status();
  return *group;
}

// As gRPC names the other end of a TCP connection; empty for anything else.
std::string PeerOf(int number) {
  sockaddr_in6 ipv6 = {};
  socklen_t size = sizeof(ipv6);
  std::array<char, INET6_ADDRSTRLEN> host = {};
  if (getpeername(number, reinterpret_cast<sockaddr*>(&ipv6), &size) != 0) {
    return "";
  }
  const auto& ipv4 = reinterpret_cast<const sockaddr_in&>(ipv6);
  if (ipv6.sin6_family == AF_INET) {
    inet_ntop(AF_INET, &ipv4.sin_addr, host.data(), host.size());
    return absl::StrCat("ipv4:", host.data(), ":", ntohs(ipv4.sin_port));
  }
  if (ipv6.sin6_family != AF_INET6) return "";
  if (IN6_IS_ADDR_V4MAPPED(&ipv6.sin6_addr) != 0) {
    // Its last four bytes.
    inet_ntop(AF_INET, &ipv6.sin6_addr.s6_addr[12], host.data(), host.size());
    return absl::StrCat("ipv4:", host.data(), ":", ntohs(ipv6.sin6_port));
  }
  inet_ntop(AF_INET6, &ipv6.sin6_addr, host.data(), host.size());
  return absl::StrCat("ipv6:%5B", host.data(), "%5D:", ntohs(ipv6.sin6_port));
}

// 0 if it is closed.
ino_t InodeOf(int number) {
  struct stat status = {};
  return fstat(number, &status) == 0 ? status.st_ino : 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<RpcListener>> RpcListener::Listen(
    const Options& options) {
  const absl::StatusOr<std::optional<gid_t>> group = GroupOf(options.group);
  LOSSD_RETURN_IF_ERROR(group.status());
  std::unique_ptr<RpcListener> listener(
      new RpcListener(options.max_connections));
  for (const ListenAddress& address : options.addresses) {
    int port = 0;
    if (address.unix_path.empty()) {
      absl::StatusOr<TcpSockets> tcp = ListenTcp(address);
      LOSSD_RETURN_IF_ERROR(tcp.status());
      port = tcp->port;
      listener->tcp_.push_back(*std::move(tcp));
    } else {
      absl::StatusOr<std::unique_ptr<UnixSocket>> unix =
          UnixSocket::Listen(address, SOCK_STREAM, *group);
      LOSSD_RETURN_IF_ERROR(unix.status());
      listener->unix_.push_back(*std::move(unix));
    }
    listener->texts_.push_back(WithPort(address, port));
  }
  for (const TcpSockets& tcp : listener->tcp_) {
    for (const Descriptor& socket : tcp.sockets) {
      const unsigned milliseconds =
          static_cast<unsigned>(options.unacknowledged_milliseconds);
      // Connections inherit it.
      setsockopt(socket.number(), IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds,
                 sizeof(milliseconds));
      listener->sockets_.push_back(socket.number());
    }
  }
  listener->tcp_sockets_ = listener->sockets_.size();
  for (const std::unique_ptr<UnixSocket>& unix : listener->unix_) {
    listener->sockets_.push_back(unix->descriptor());
  }
  absl::StatusOr<std::unique_ptr<Acceptor>> acceptor =
      Acceptor::Make(listener->sockets_, SOCK_NONBLOCK, "rpcs");
  LOSSD_RETURN_IF_ERROR(acceptor.status());
  listener->acceptor_ = *std::move(acceptor);
  return listener;
}

void RpcListener::AddTo(grpc::ServerBuilder& builder,
                        std::shared_ptr<grpc::ServerCredentials> tcp) {
  const auto add = [&builder](std::shared_ptr<grpc::ServerCredentials> with) {
    return builder.experimental().AddExternalConnectionAcceptor(
        grpc::ServerBuilder::experimental_type::ExternalConnectionType::FROM_FD,
        std::move(with));
  };
  to_tcp_ = add(std::move(tcp));
  to_unix_ = add(grpc::InsecureServerCredentials());
}

void RpcListener::Serve() {
  // On the thread that accepts, numbers are not given to others meanwhile.
  acceptor_->Run({.accepted =
                      [this](size_t socket, Descriptor connection) {
                        Accepted(socket, std::move(connection));
                      },
                  .woken = [this] { CloseWhoIsToGo(); }});
}

void RpcListener::Stop() {
  acceptor_->Stop();
  tcp_.clear();
  unix_.clear();
}

void RpcListener::Accepted(size_t socket, Descriptor connection) {
  if (!TryAdd(connection.number())) {
    ++refused_;
    return;
  }
  GrpcAcceptor::NewConnectionParameters parameters;
  parameters.listener_fd = sockets_[socket];
  parameters.fd = connection.Release();
  (socket < tcp_sockets_ ? to_tcp_ : to_unix_)
      ->HandleNewConnection(&parameters);
}

void RpcListener::Close(const std::string& peer) {
  {
    const std::lock_guard lock(mutex_);
    to_close_.insert(peer);
  }
  acceptor_->Wake();
}

void RpcListener::CloseWhoIsToGo() {
  const std::lock_guard lock(mutex_);
  const std::set<std::string> peers = std::exchange(to_close_, {});
  if (peers.empty()) return;
  for (const Connection& connection : open_) {
    const std::string peer = PeerOf(connection.number);
    if (!peers.contains(peer)) continue;
    // The kernel resets it, with what is unread. After a shutdown gRPC would
    // first serve that, which may take half a minute.
    sockaddr nobody = {};
    nobody.sa_family = AF_UNSPEC;
    (void)connect(connection.number, &nobody, sizeof(nobody));
    LogWarning(
        "connection_closed",
        {{"peer", peer}, {"reason", "too many calls that have not ended"}});
  }
}

bool RpcListener::TryAdd(int number) {
  const std::lock_guard lock(mutex_);
  // Looking at all of them takes milliseconds where there are thousands.
  if (open_.size() >= max_connections_) DropClosed();
  if (open_.size() >= max_connections_) return false;
  open_.push_back({number, InodeOf(number)});
  return true;
}

void RpcListener::DropClosed() {
  std::erase_if(open_, [](const Connection& connection) {
    return InodeOf(connection.number) != connection.inode;
  });
}

size_t RpcListener::connections() {
  const std::lock_guard lock(mutex_);
  DropClosed();
  return open_.size();
}

}  // namespace lossd
