#include "tests/client/arena/fake_arena_server.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <array>
#include <cstring>
#include <utility>

#include "gtest/gtest.h"
#include "tests/support/unix_sockets.h"

namespace lossd::test {

FakeArenaServer::FakeArenaServer(std::string path)
    : path_(std::move(path)),
      listener_(socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0)),
      stop_(eventfd(0, EFD_CLOEXEC)) {
  answer_ = [this](int connection, const arena::Request& request) {
    return Grant(connection, request);
  };
  const sockaddr_un name = UnixName(path_);
  EXPECT_EQ(bind(listener_.number(), reinterpret_cast<const sockaddr*>(&name),
                 sizeof(name)),
            0);
  EXPECT_EQ(listen(listener_.number(), 8), 0);
  thread_ = std::thread([this] { Run(); });
}

FakeArenaServer::~FakeArenaServer() {
  EXPECT_EQ(eventfd_write(stop_.number(), 1), 0);
  thread_.join();
  unlink(path_.c_str());
}

void FakeArenaServer::SetAnswer(Answer answer) {
  const std::lock_guard lock(mutex_);
  answer_ = std::move(answer);
}

bool FakeArenaServer::Grant(int connection, const arena::Request& request) {
  arena::Reply reply{.kind = request.kind, .tag = request.tag};
  std::vector<int> files;
  if (request.kind == arena::Kind::kCreate) {
    reply.bytes = request.bytes;
    reply.id.fill(static_cast<std::byte>(request.tag));
    const std::lock_guard lock(mutex_);
    last_ = MemoryFile(request.bytes);
    files.push_back(last_.number());
  }
  Send(connection, arena::Encode(reply), files);
  return true;
}

void FakeArenaServer::Send(int connection, std::span<const std::byte> bytes,
                           const std::vector<int>& files) {
  EXPECT_TRUE(SendPacket(connection, bytes, files));
}

Descriptor FakeArenaServer::MemoryFile(size_t bytes, bool seal) {
  Descriptor file(memfd_create("arena", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  EXPECT_EQ(ftruncate(file.number(), static_cast<off_t>(bytes)), 0);
  const int seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL;
  if (seal) {
    EXPECT_EQ(fcntl(file.number(), F_ADD_SEALS, seals), 0);
  }
  return file;
}

std::vector<arena::Request> FakeArenaServer::requests() {
  const std::lock_guard lock(mutex_);
  return requests_;
}

size_t FakeArenaServer::connections() {
  const std::lock_guard lock(mutex_);
  return connections_;
}

void FakeArenaServer::AwaitOpen(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return open_ == count; });
}

std::vector<std::byte> FakeArenaServer::Memory() {
  const std::lock_guard lock(mutex_);
  struct stat facts = {};
  EXPECT_EQ(fstat(last_.number(), &facts), 0);
  std::vector<std::byte> bytes(static_cast<size_t>(facts.st_size));
  EXPECT_EQ(pread(last_.number(), bytes.data(), bytes.size(), 0),
            facts.st_size);
  return bytes;
}

void FakeArenaServer::Run() {
  std::vector<Descriptor> connections;
  while (true) {
    std::vector<pollfd> ready = {{stop_.number(), POLLIN, 0},
                                 {listener_.number(), POLLIN, 0}};
    for (const Descriptor& connection : connections) {
      ready.push_back({connection.number(), POLLIN, 0});
    }
    // Changes of the process's user interrupt it.
    if (poll(ready.data(), ready.size(), -1) < 0) continue;
    if (ready[0].revents != 0) return;
    std::vector<Descriptor> going_on;
    for (size_t i = 0; i < connections.size(); ++i) {
      if (ready[i + 2].revents == 0 || Serve(connections[i].number())) {
        going_on.push_back(std::move(connections[i]));
      }
    }
    connections = std::move(going_on);
    if (ready[1].revents != 0) {
      connections.emplace_back(
          accept4(listener_.number(), nullptr, nullptr, SOCK_CLOEXEC));
    }
    const std::lock_guard lock(mutex_);
    if (ready[1].revents != 0) ++connections_;
    open_ = connections.size();
    changed_.notify_all();
  }
}

bool FakeArenaServer::Serve(int connection) {
  std::array<std::byte, arena::kRequestBytes + 1> packet;
  const ssize_t size = recv(connection, packet.data(), packet.size(), 0);
  if (size <= 0) return false;
  std::string why;
  const auto request = arena::DecodeRequest(
      std::span(packet).first(static_cast<size_t>(size)), &why);
  EXPECT_TRUE(request) << why;
  if (!request) return false;
  Answer answer;
  {
    const std::lock_guard lock(mutex_);
    requests_.push_back(*request);
    answer = answer_;
  }
  return answer(connection, *request);
}

}  // namespace lossd::test
