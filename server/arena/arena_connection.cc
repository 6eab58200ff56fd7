#include "server/arena/arena_connection.h"

#include <poll.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <cstdint>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/logging.h"
#include "server/no_throw.h"

namespace lossd {
namespace {

// Of replies that wait for the client: some seven. All descriptors in them
// count against how many lossd's user may have on their way, over all
// connections, which is as many as a process may have open.
constexpr int kSendBytes = 4096;

// An id is a capability: enough of it to tell two lines of a log apart.
std::string ShortId(const arena::Id& id) {
  return absl::StrCat(absl::Hex(std::to_integer<int>(id[0]), absl::kZeroPad2),
                      absl::Hex(std::to_integer<int>(id[1]), absl::kZeroPad2));
}

arena::Reply ReplyOf(const arena::Request& request,
                     const absl::Status& status) {
  arena::Reply reply;
  reply.kind = request.kind;
  reply.tag = request.tag;
  reply.code = static_cast<uint32_t>(status.code());
  reply.text = std::string(status.message());
  return reply;
}

arena::Reply LastReply(absl::StatusCode code, const std::string& text) {
  arena::Reply reply;
  reply.code = static_cast<uint32_t>(code);
  reply.text = text;
  return reply;
}

}  // namespace

ArenaConnection::ArenaConnection(Descriptor socket, ArenaRegistry::Owner owner,
                                 ArenaRegistry& registry)
    : socket_(std::move(socket)), owner_(owner), registry_(registry) {}

void ArenaConnection::Run() {
  const auto connection = static_cast<int64_t>(owner_);
  ucred peer = {};
  socklen_t size = sizeof(peer);
  getsockopt(socket_.number(), SOL_SOCKET, SO_PEERCRED, &peer, &size);
  setsockopt(socket_.number(), SOL_SOCKET, SO_SNDBUF, &kSendBytes,
             sizeof(kSendBytes));
  LogInfo("arena_connected", {{"connection", connection},
                              {"pid", peer.pid},
                              {"uid", int64_t{peer.uid}},
                              {"gid", int64_t{peer.gid}}});
  while (ServeOne()) {
  }
  const ArenaRegistry::Freed freed = registry_.FreeAll(owner_);
  Close();
  LogInfo("arena_disconnected", {{"connection", connection},
                                 {"arenas", static_cast<int64_t>(freed.arenas)},
                                 {"bytes", freed.bytes},
                                 {"malformed", malformed_}});
}

bool ArenaConnection::ServeOne() {
  if (!Receive()) return false;
  std::optional<arena::Request> request;
  if (malformed_.empty()) request = arena::DecodeRequest(packet_, &malformed_);
  if (!request.has_value()) {
    Send(LastReply(absl::StatusCode::kInvalidArgument, malformed_), -1, 0);
    return false;
  }
  return request->kind == arena::Kind::kCreate ? Create(*request)
                                               : Free(*request);
}

bool ArenaConnection::Create(const arena::Request& request) {
  absl::StatusOr<ArenaRegistry::Granted> granted;
  const absl::Status status = NoThrow([&] {
    granted = registry_.Create(owner_, request.bytes);
    return granted.status();
  });
  arena::Reply reply = ReplyOf(request, status);
  if (!status.ok()) return Send(reply, -1, 0) == 0;
  reply.bytes = request.bytes;
  reply.id = granted->id;
  LogDebug("arena_created", {{"connection", static_cast<int64_t>(owner_)},
                             {"arena", ShortId(granted->id)},
                             {"bytes", static_cast<int64_t>(request.bytes)}});
  const int error = Send(reply, granted->arena->TakeDescriptor().number(), 0);
  if (error != ETOOMANYREFS) return error == 0;
  // Others do not take theirs: this client is not at fault, and has arenas.
  registry_.Free(owner_, granted->id).IgnoreError();
  return Send(ReplyOf(request, absl::ResourceExhaustedError(absl::StrCat(
                                   "no descriptor for an arena: sendmsg: ",
                                   strerror(error)))),
              -1, 0) == 0;
}

bool ArenaConnection::Free(const arena::Request& request) {
  const absl::Status status = registry_.Free(owner_, request.id);
  if (status.ok()) {
    LogDebug("arena_freed", {{"connection", static_cast<int64_t>(owner_)},
                             {"arena", ShortId(request.id)}});
  }
  return Send(ReplyOf(request, status), -1, 0) == 0;
}

bool ArenaConnection::Receive() {
  packet_.resize(arena::kRequestBytes);
  iovec part = {packet_.data(), packet_.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  ssize_t length = 0;
  do {
    // There is no place for descriptors: the kernel drops those that are sent,
    // and says so by MSG_CTRUNC.
    length = recvmsg(socket_.number(), &message, MSG_TRUNC);
  } while (length < 0 && errno == EINTR);
  if (length < 0) return false;
  if (length == 0) {
    // The end, or a packet without any bytes.
    pollfd end = {socket_.number(), POLLRDHUP, 0};
    if (poll(&end, 1, 0) != 0) return false;
  }
  if ((message.msg_flags & MSG_CTRUNC) != 0) {
    malformed_ = "descriptors came with the packet, allowed are none";
  }
  // Of a packet that is too long, only the length is looked at.
  packet_.resize(static_cast<size_t>(length));
  return true;
}

int ArenaConnection::Send(const arena::Reply& reply, int descriptor,
                          int flags) {
  auto packet = arena::Encode(reply);
  iovec part = {packet.data(), packet.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::array<char, CMSG_SPACE(sizeof(int))> control = {};
  if (descriptor >= 0) {
    message.msg_control = control.data();
    message.msg_controllen = control.size();
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(header), &descriptor, sizeof(int));
  }
  ssize_t sent = 0;
  do {
    sent = sendmsg(socket_.number(), &message, MSG_NOSIGNAL | flags);
  } while (sent < 0 && errno == EINTR);
  return sent >= 0 ? 0 : errno;
}

void ArenaConnection::Close() {
  shutdown(socket_.number(), SHUT_RDWR);
  // What was never read would make the kernel reset the connection, and the
  // client might see that instead of the last reply.
  std::byte byte;
  while (recv(socket_.number(), &byte, 1, MSG_DONTWAIT) > 0) {
  }
}

void ArenaConnection::Refuse(const std::string& why) {
  Send(LastReply(absl::StatusCode::kResourceExhausted, why), -1, MSG_DONTWAIT);
  Close();
}

void ArenaConnection::Stop() { shutdown(socket_.number(), SHUT_RDWR); }

}  // namespace lossd
