#include "server/arena/arena_listener.h"

#include <sys/socket.h>

#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "server/arena/arena_connection.h"
#include "server/listen/socket_group.h"
#include "server/no_throw.h"

namespace lossd {

struct ArenaListener::Served {
  Served(Descriptor socket, ArenaRegistry::Owner owner, ArenaRegistry& registry)
      : connection(std::move(socket), owner, registry) {}

  ArenaConnection connection;
  std::thread thread;
  std::atomic<bool> finished = false;
};

absl::StatusOr<std::unique_ptr<ArenaListener>> ArenaListener::Start(
    const Options& options, ArenaRegistry& registry) {
  const absl::StatusOr<gid_t> group = SocketGroup(options.group);
  LOSSD_RETURN_IF_ERROR(group.status());
  absl::StatusOr<std::unique_ptr<UnixSocket>> socket =
      UnixSocket::Listen(options.address, SOCK_SEQPACKET, *group);
  LOSSD_RETURN_IF_ERROR(socket.status());
  // What is accepted blocks: each has a thread.
  absl::StatusOr<std::unique_ptr<Acceptor>> acceptor =
      Acceptor::Make({(*socket)->descriptor()}, 0, "arenas");
  LOSSD_RETURN_IF_ERROR(acceptor.status());
  return std::unique_ptr<ArenaListener>(new ArenaListener(
      options, registry, *std::move(socket), *std::move(acceptor)));
}

ArenaListener::ArenaListener(const Options& options, ArenaRegistry& registry,
                             std::unique_ptr<UnixSocket> socket,
                             std::unique_ptr<Acceptor> acceptor)
    : max_connections_(options.max_connections),
      registry_(registry),
      socket_(std::move(socket)),
      acceptor_(std::move(acceptor)) {
  acceptor_->Run({.accepted =
                      [this](size_t /*socket*/, Descriptor connection) {
                        Accepted(std::move(connection));
                      },
                  .woken = [this] { JoinFinished(); }});
}

ArenaListener::~ArenaListener() {
  acceptor_->Stop();
  registry_.LeavePages();
  for (Served& served : served_) served.connection.Stop();
  for (Served& served : served_) served.thread.join();
}

void ArenaListener::Accepted(Descriptor socket) {
  Served& served =
      served_.emplace_back(std::move(socket), ++last_owner_, registry_);
  const absl::Status status = Serve(served);
  if (status.ok()) return;
  ++refused_;
  served.connection.Refuse(std::string(status.message()));
  served_.pop_back();
}

absl::Status ArenaListener::Serve(Served& served) {
  if (connections_ >= max_connections_) {
    return absl::ResourceExhaustedError(
        absl::StrCat("connections: ", connections_.load(), " of ",
                     max_connections_, " taken, 1 wanted"));
  }
  ++connections_;
  absl::Status status = NoThrow([this, &served] {
    served.thread = std::thread([this, &served] {
      served.connection.Run();
      --connections_;
      served.finished = true;
      acceptor_->Wake();
    });
    return absl::OkStatus();
  });
  if (status.ok()) return status;
  --connections_;
  return absl::ResourceExhaustedError(
      absl::StrCat("no thread for this connection: ", status.message()));
}

void ArenaListener::JoinFinished() {
  served_.remove_if([](Served& served) {
    if (!served.finished) return false;
    served.thread.join();
    return true;
  });
}

}  // namespace lossd
