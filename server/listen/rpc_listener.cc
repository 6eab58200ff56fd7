#include "server/listen/rpc_listener.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <optional>
#include <utility>

#include "lib/core/status_macros.h"
#include "server/listen/socket_group.h"

namespace lossd {
namespace {

absl::StatusOr<std::optional<gid_t>> GroupOf(const std::string& name) {
  if (name.empty()) return std::nullopt;
  const absl::StatusOr<gid_t> group = SocketGroup(name);
  if (!group.ok()) return group.status();
  return *group;
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
  acceptor_->Run({.accepted = [this](size_t socket, Descriptor connection) {
    Accepted(socket, std::move(connection));
  }});
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
