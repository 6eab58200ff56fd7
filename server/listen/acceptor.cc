#include "server/listen/acceptor.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "server/logging.h"
#include "server/no_throw.h"

namespace lossd {
namespace {

// How long nobody is accepted for want of descriptors: they come back by
// themselves, and poll would say at once that somebody waits.
constexpr int kPauseMilliseconds = 100;

}  // namespace

absl::StatusOr<std::unique_ptr<Acceptor>> Acceptor::Make(
    std::vector<int> sockets, int flags, const std::string& name) {
  Descriptor wake(eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake.number() < 0) {
    return absl::FailedPreconditionError(
        absl::StrCat(name, ": eventfd: ", strerror(errno)));
  }
  return std::unique_ptr<Acceptor>(
      new Acceptor(std::move(sockets), flags, name, std::move(wake)));
}

Acceptor::Acceptor(std::vector<int> sockets, int flags, std::string name,
                   Descriptor wake)
    : sockets_(std::move(sockets)),
      flags_(flags | SOCK_CLOEXEC),
      name_(std::move(name)),
      wake_(std::move(wake)) {}

void Acceptor::Stop() {
  stopping_ = true;
  Wake();
  if (thread_.joinable()) thread_.join();
}

void Acceptor::Run(Handlers handlers) {
  handlers_ = std::move(handlers);
  thread_ = std::thread([this] { Loop(); });
}

void Acceptor::Wake() { eventfd_write(wake_.number(), 1); }

void Acceptor::Loop() {
  std::vector<pollfd> events = {{wake_.number(), POLLIN, 0}};
  for (const int socket : sockets_) events.push_back({socket, POLLIN, 0});
  bool accepting = true;
  while (!stopping_) {
    poll(events.data(), accepting ? events.size() : 1,
         accepting ? -1 : kPauseMilliseconds);
    eventfd_t wakes = 0;
    eventfd_read(wake_.number(), &wakes);
    handlers_.woken();
    const bool accepted = AcceptEach();
    if (accepting && !accepted) {
      LogWarning("accept", {{"for", name_}, {"error", strerror(errno)}});
    }
    accepting = accepted;
  }
}

bool Acceptor::AcceptEach() {
  for (size_t i = 0; i < sockets_.size(); ++i) {
    Descriptor socket(accept4(sockets_[i], nullptr, nullptr, flags_));
    if (socket.number() < 0) {
      if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS ||
          errno == ENOMEM) {
        return false;
      }
      continue;
    }
    const absl::Status status = NoThrow([this, i, &socket] {
      handlers_.accepted(i, std::move(socket));
      return absl::OkStatus();
    });
    if (!status.ok()) {
      LogWarning("accept",
                 {{"for", name_}, {"error", std::string(status.message())}});
    }
  }
  return true;
}

}  // namespace lossd
