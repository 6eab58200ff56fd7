#include "tests/server/arena/arena_client.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <cstring>
#include <fstream>
#include <utility>

#include "tests/support/unix_sockets.h"

namespace lossd {
namespace {

// Enough for more descriptors than the kernel lets anybody send at once.
constexpr size_t kControlBytes = CMSG_SPACE(256 * sizeof(int));

}  // namespace

ArenaClient::ArenaClient()
    : socket_(::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)) {}

ArenaClient::ArenaClient(const std::string& path) : ArenaClient() {
  EXPECT_TRUE(Connect(path)) << path;
}

bool ArenaClient::Connect(const std::string& path) const {
  const sockaddr_un name = test::UnixName(path);
  return connect(descriptor(), reinterpret_cast<const sockaddr*>(&name),
                 sizeof(name)) == 0;
}

bool ArenaClient::Send(const arena::Request& request) const {
  return SendPacket(arena::Encode(request));
}

bool ArenaClient::SendPacket(std::span<const std::byte> packet,
                             const std::vector<int>& descriptors) const {
  return test::SendPacket(descriptor(), packet, descriptors);
}

bool ArenaClient::SendWithoutWaiting(const arena::Request& request) const {
  const auto packet = arena::Encode(request);
  return send(descriptor(), packet.data(), packet.size(),
              MSG_NOSIGNAL | MSG_DONTWAIT) >= 0;
}

std::optional<ArenaClient::Answer> ArenaClient::Receive() const {
  std::array<std::byte, arena::kReplyBytes + 1> packet;
  iovec part = {packet.data(), packet.size()};
  alignas(cmsghdr) std::array<char, kControlBytes> control = {};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  const ssize_t length = recvmsg(descriptor(), &message, MSG_CMSG_CLOEXEC);
  EXPECT_GE(length, 0) << strerror(errno);
  if (length <= 0) return std::nullopt;
  Answer answer;
  for (cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(&message, header)) {
    EXPECT_EQ(header->cmsg_type, SCM_RIGHTS);
    EXPECT_EQ(header->cmsg_len, CMSG_LEN(sizeof(int)));
    EXPECT_LT(answer.file.number(), 0);
    int number = -1;
    std::memcpy(&number, CMSG_DATA(header), sizeof(number));
    answer.file = Descriptor(number);
  }
  std::string why;
  const auto reply = arena::DecodeReply(
      std::span(packet).first(static_cast<size_t>(length)), &why);
  EXPECT_TRUE(reply.has_value()) << why;
  answer.reply = reply.value_or(arena::Reply());
  return answer;
}

ArenaClient::Answer ArenaClient::Create(uint64_t bytes) const {
  return Ask({.kind = arena::Kind::kCreate, .tag = bytes, .bytes = bytes});
}

ArenaClient::Answer ArenaClient::Free(const arena::Id& id) const {
  return Ask({.kind = arena::Kind::kFree, .tag = 1, .id = id});
}

ArenaClient::Answer ArenaClient::Ask(const arena::Request& request) const {
  EXPECT_TRUE(Send(request));
  std::optional<Answer> answer = Receive();
  EXPECT_TRUE(answer.has_value());
  if (!answer.has_value()) return {};
  EXPECT_EQ(answer->reply.kind, request.kind);
  EXPECT_EQ(answer->reply.tag, request.tag);
  return *std::move(answer);
}

Mapping::Mapping(int file) {
  struct stat status = {};
  EXPECT_EQ(fstat(file, &status), 0);
  const auto size = static_cast<size_t>(status.st_size);
  void* const memory =
      mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
  EXPECT_NE(memory, MAP_FAILED);
  bytes_ = {static_cast<std::byte*>(memory), size};
}

Mapping::~Mapping() { munmap(bytes_.data(), bytes_.size()); }

Descriptor Duplicate(int file) {
  return Descriptor(fcntl(file, F_DUPFD_CLOEXEC, 0));
}

int64_t BytesInMemory(int file) {
  struct stat status = {};
  EXPECT_EQ(fstat(file, &status), 0);
  return int64_t{status.st_blocks} * 512;
}

size_t MappedArenas() {
  std::ifstream maps("/proc/self/maps");
  size_t count = 0;
  for (std::string line; std::getline(maps, line);) {
    if (line.find("/memfd:lossd_arena") != std::string::npos) ++count;
  }
  return count;
}

NoDescriptors::NoDescriptors() {
  rlimit limit = {};
  EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  // Not 0: poll() takes as many descriptors as may be open.
  const auto first_free = Duplicate(STDOUT_FILENO).number();
  allowed_ = std::exchange(limit.rlim_cur, static_cast<rlim_t>(first_free));
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

NoDescriptors::~NoDescriptors() {
  rlimit limit = {};
  EXPECT_EQ(getrlimit(RLIMIT_NOFILE, &limit), 0);
  limit.rlim_cur = allowed_;
  EXPECT_EQ(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

}  // namespace lossd
