#include "client/arena/arena_socket.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <optional>
#include <span>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "client/status.h"

namespace lossd::client_internal {
namespace {

constexpr std::string_view kScheme = "unix:";

// Descriptors that are received, more than there should be; the kernel closes
// the rest.
constexpr size_t kMaxFiles = 4;

std::string TextOf(int error) { return std::generic_category().message(error); }

// What `call` returns when no signal cuts it short; EINTR at the deadline. The
// end of the other side comes before what it sent last.
template <typename Call>
auto Uninterrupted(absl::Duration deadline, Call call) {
  const absl::Time end = absl::Now() + deadline;
  auto result = call();
  while (result < 0 && (errno == EINTR || errno == ECONNRESET) &&
         absl::Now() < end) {
    result = call();
  }
  return result;
}

bool IsOverdue(int error) { return error == EAGAIN || error == EINTR; }

bool SetDeadline(int socket, absl::Duration deadline) {
  // 0 would be none.
  const timeval time =
      absl::ToTimeval(std::max(deadline, absl::Microseconds(1)));
  return setsockopt(socket, SOL_SOCKET, SO_SNDTIMEO, &time, sizeof(time)) ==
             0 &&
         setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &time, sizeof(time)) == 0;
}

std::vector<Descriptor> FilesOf(msghdr* message) {
  std::vector<Descriptor> files;
  for (cmsghdr* part = CMSG_FIRSTHDR(message); part != nullptr;
       part = CMSG_NXTHDR(message, part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) {
      continue;
    }
    for (size_t at = CMSG_LEN(0); at < part->cmsg_len; at += sizeof(int)) {
      int number = -1;
      std::memcpy(&number, reinterpret_cast<const std::byte*>(part) + at,
                  sizeof(number));
      files.emplace_back(number);
    }
  }
  return files;
}

// What is wrong with the memory of an arena; nothing if it is right.
std::string WrongFile(const Descriptor& file, uint64_t bytes) {
  struct stat facts = {};
  if (fstat(file.number(), &facts) != 0 ||
      static_cast<uint64_t>(facts.st_size) != bytes) {
    return absl::StrCat("memory of ", facts.st_size, " bytes, granted were ",
                        bytes);
  }
  // Only memory files have seals. Without this one the other end could turn
  // reading it into SIGBUS.
  const int seals = fcntl(file.number(), F_GET_SEALS);
  if (seals < 0 || (seals & F_SEAL_SHRINK) == 0) return "memory without a seal";
  return "";
}

}  // namespace

absl::StatusOr<std::shared_ptr<ArenaSocket>> ArenaSocket::Connect(
    const std::string& address, absl::Duration deadline) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  if (!address.starts_with(kScheme) || address.size() == kScheme.size() ||
      address.size() - kScheme.size() >= sizeof(name.sun_path)) {
    return InvalidField("address", address,
                        absl::StrCat("unix:PATH, a path of 1 to ",
                                     sizeof(name.sun_path) - 1, " bytes"));
  }
  address.copy(name.sun_path, sizeof(name.sun_path), kScheme.size());
  Descriptor socket(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0));
  const auto connect = [&] {
    return ::connect(socket.number(), reinterpret_cast<const sockaddr*>(&name),
                     sizeof(name));
  };
  if (socket.number() < 0 || !SetDeadline(socket.number(), deadline) ||
      Uninterrupted(deadline, connect) != 0) {
    const int error = errno;
    const std::string text = absl::StrCat("arena socket ", name.sun_path,
                                          ": cannot connect: ", TextOf(error));
    if (error == EACCES) return absl::PermissionDeniedError(text);
    return absl::UnavailableError(text);
  }
  return std::make_shared<ArenaSocket>(address, deadline, std::move(socket));
}

ArenaSocket::ArenaSocket(std::string address, absl::Duration deadline,
                         Descriptor socket)
    : address_(std::move(address)),
      deadline_(deadline),
      socket_(std::move(socket)) {}

absl::StatusOr<ArenaSocket::Granted> ArenaSocket::Create(size_t bytes) {
  absl::StatusOr<Answer> answer =
      Ask({.kind = arena::Kind::kCreate, .bytes = bytes});
  if (!answer.ok()) return answer.status();
  return Granted{answer->reply.id, std::move(answer->files.front())};
}

absl::Status ArenaSocket::Free(const arena::Id& id) {
  return Ask({.kind = arena::Kind::kFree, .id = id}).status();
}

bool ArenaSocket::Usable() {
  const std::lock_guard lock(mutex_);
  // Nobody has asked: whatever comes is the end, or out of step.
  pollfd ready = {.fd = socket_.number(), .events = POLLIN, .revents = 0};
  in_step_ = in_step_ && poll(&ready, 1, 0) <= 0;
  return in_step_;
}

absl::StatusOr<ArenaSocket::Answer> ArenaSocket::Ask(arena::Request request) {
  const std::lock_guard lock(mutex_);
  if (!in_step_) {
    return Error(absl::StatusCode::kUnavailable,
                 "the connection has ended or is out of step");
  }
  request.tag = ++last_tag_;
  absl::StatusOr<Answer> answer = Exchange(request);
  in_step_ = answer.ok();
  if (!answer.ok() || answer->reply.code == 0) return answer;
  return Error(static_cast<absl::StatusCode>(answer->reply.code),
               answer->reply.text);
}

absl::StatusOr<ArenaSocket::Answer> ArenaSocket::Exchange(
    const arena::Request& request) {
  const auto packet = arena::Encode(request);
  const ssize_t sent = Uninterrupted(deadline_, [&] {
    return send(socket_.number(), packet.data(), packet.size(), MSG_NOSIGNAL);
  });
  // A server that has hung up may have said why.
  if (sent < 0 && IsOverdue(errno)) return Overdue();
  absl::StatusOr<Answer> answer = Receive();
  if (!answer.ok()) return answer;
  const arena::Reply& reply = answer->reply;
  if (reply.kind == arena::Kind::kNone && reply.code != 0) {
    return Error(static_cast<absl::StatusCode>(reply.code), reply.text);
  }
  if (reply.kind != request.kind || reply.tag != request.tag) {
    return Malformed("an answer to another request");
  }
  const bool granted = reply.kind == arena::Kind::kCreate && reply.code == 0;
  const size_t files = granted ? 1 : 0;
  if (answer->files.size() != files) {
    return Malformed(absl::StrCat(answer->files.size(),
                                  " descriptors, expected was ", files));
  }
  if (!granted) return answer;
  if (reply.bytes != request.bytes) {
    return Malformed(absl::StrCat("an arena of ", reply.bytes,
                                  " bytes, wanted were ", request.bytes));
  }
  const std::string why = WrongFile(answer->files.front(), reply.bytes);
  if (!why.empty()) return Malformed(why);
  return answer;
}

absl::StatusOr<ArenaSocket::Answer> ArenaSocket::Receive() {
  // One byte more than an answer has, to see what is longer.
  std::array<std::byte, arena::kReplyBytes + 1> packet;
  alignas(cmsghdr) std::array<std::byte, CMSG_SPACE(kMaxFiles * sizeof(int))>
      control;
  iovec bytes = {packet.data(), packet.size()};
  msghdr message = {};
  message.msg_iov = &bytes;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  const ssize_t size = Uninterrupted(deadline_, [&] {
    message.msg_controllen = control.size();
    return recvmsg(socket_.number(), &message, MSG_CMSG_CLOEXEC);
  });
  if (size < 0 && IsOverdue(errno)) return Overdue();
  if (size <= 0) {
    return Error(absl::StatusCode::kUnavailable,
                 "the server has ended the connection");
  }
  Answer answer;
  answer.files = FilesOf(&message);
  std::string why;
  std::optional<arena::Reply> reply = arena::DecodeReply(
      std::span(packet).first(static_cast<size_t>(size)), &why);
  if (!reply) return Malformed(why);
  answer.reply = *std::move(reply);
  return answer;
}

absl::Status ArenaSocket::Error(absl::StatusCode code,
                                const std::string& what) const {
  return {code, absl::StrCat("arena socket ", address_.substr(kScheme.size()),
                             ": ", what)};
}

absl::Status ArenaSocket::Overdue() const {
  return Error(
      absl::StatusCode::kDeadlineExceeded,
      absl::StrCat("no answer within ", absl::FormatDuration(deadline_)));
}

absl::Status ArenaSocket::Malformed(const std::string& what) const {
  return Error(absl::StatusCode::kInternal,
               absl::StrCat("the server sent ", what));
}

}  // namespace lossd::client_internal
