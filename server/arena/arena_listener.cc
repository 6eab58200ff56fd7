#include "server/arena/arena_listener.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <string>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "server/arena/arena_connection.h"
#include "server/logging.h"
#include "server/no_throw.h"

namespace lossd {
namespace {

// How long nobody is accepted for want of descriptors: they come back by
// themselves, and poll would say at once that somebody waits.
constexpr int kPauseMilliseconds = 100;

}  // namespace

struct ArenaListener::Served {
  Served(Descriptor socket, ArenaRegistry::Owner owner, ArenaRegistry& registry)
      : connection(std::move(socket), owner, registry) {}

  ArenaConnection connection;
  std::thread thread;
  std::atomic<bool> finished = false;
};

absl::StatusOr<std::unique_ptr<ArenaListener>> ArenaListener::Start(
    const Options& options, ArenaRegistry& registry) {
  absl::StatusOr<std::unique_ptr<ArenaSocket>> socket =
      ArenaSocket::Listen(options.address, options.group);
  LOSSD_RETURN_IF_ERROR(socket.status());
  Descriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake.number() < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot listen on ", options.address.text,
                     " for arenas: eventfd: ", strerror(errno)));
  }
  return std::unique_ptr<ArenaListener>(new ArenaListener(
      options, registry, *std::move(socket), std::move(wake)));
}

ArenaListener::ArenaListener(const Options& options, ArenaRegistry& registry,
                             std::unique_ptr<ArenaSocket> socket,
                             Descriptor wake)
    : max_connections_(options.max_connections),
      registry_(registry),
      socket_(std::move(socket)),
      wake_(std::move(wake)),
      thread_([this] { Loop(); }) {}

ArenaListener::~ArenaListener() {
  stopping_ = true;
  eventfd_write(wake_.number(), 1);
  thread_.join();
  registry_.LeavePages();
  for (Served& served : served_) served.connection.Stop();
  for (Served& served : served_) served.thread.join();
}

void ArenaListener::Loop() {
  bool accepting = true;
  while (!stopping_) {
    std::array<pollfd, 2> events = {
        {{wake_.number(), POLLIN, 0}, {socket_->descriptor(), POLLIN, 0}}};
    poll(events.data(), accepting ? 2 : 1, accepting ? -1 : kPauseMilliseconds);
    eventfd_t wakes = 0;
    eventfd_read(wake_.number(), &wakes);
    JoinFinished();
    const absl::Status status = NoThrow([this] { return Accept(); });
    if (accepting && !status.ok()) {
      LogWarning("arena_accept", {{"error", std::string(status.message())}});
    }
    accepting = status.ok();
  }
}

absl::Status ArenaListener::Accept() {
  Descriptor socket(
      accept4(socket_->descriptor(), nullptr, nullptr, SOCK_CLOEXEC));
  if (socket.number() < 0) {
    const bool nobody =
        errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
    return nobody ? absl::OkStatus()
                  : absl::ResourceExhaustedError(strerror(errno));
  }
  Served& served =
      served_.emplace_back(std::move(socket), ++last_owner_, registry_);
  const absl::Status status = Serve(served);
  if (!status.ok()) {
    ++refused_;
    served.connection.Refuse(std::string(status.message()));
    served_.pop_back();
  }
  return absl::OkStatus();
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
      eventfd_write(wake_.number(), 1);
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
