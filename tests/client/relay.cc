#include "tests/client/relay.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <cstring>

#include "tests/support/unix_sockets.h"

namespace lossd::test {
namespace {

sockaddr_un AddressOf(const std::string& target) {
  return UnixName(target.substr(target.find(':') + 1));
}

int NewSocket() { return socket(AF_UNIX, SOCK_STREAM, 0); }

// Bytes of one read: 0 if the other end has closed.
size_t Read(int end, std::array<char, 1 << 16>* bytes) {
  const ssize_t size = read(end, bytes->data(), bytes->size());
  return size > 0 ? static_cast<size_t>(size) : 0;
}

}  // namespace

Relay::Relay(const std::string& server)
    : server_(server), target_("unix:" + (dir_ / "relay")) {
  listener_ = NewSocket();
  const sockaddr_un address = AddressOf(target_);
  EXPECT_EQ(bind(listener_, reinterpret_cast<const sockaddr*>(&address),
                 sizeof(address)),
            0);
  EXPECT_EQ(listen(listener_, 16), 0);
  EXPECT_EQ(pipe(wake_), 0);
  thread_ = std::thread([this] { Run(); });
}

Relay::~Relay() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  Wake();
  thread_.join();
  for (const int end : wake_) close(end);
  close(listener_);
  for (const Pair& pair : pairs_) {
    for (const int end : pair.ends) close(end);
  }
}

void Relay::Freeze() {
  const std::lock_guard lock(mutex_);
  for (Pair& pair : pairs_) pair.frozen = true;
}

void Relay::Thaw() {
  {
    const std::lock_guard lock(mutex_);
    for (Pair& pair : pairs_) pair.frozen = false;
  }
  Wake();
}

bool Relay::HasUnread(int bytes) {
  const std::lock_guard lock(mutex_);
  int all = 0;
  for (const Pair& pair : pairs_) {
    int unread = 0;
    ioctl(pair.ends[0], FIONREAD, &unread);
    all += unread;
  }
  return all >= bytes;
}

std::string Relay::Sent() {
  const std::lock_guard lock(mutex_);
  return sent_;
}

size_t Relay::connections() {
  const std::lock_guard lock(mutex_);
  return pairs_.size();
}

void Relay::Run() {
  for (;;) {
    std::vector<pollfd> watched = {
        {.fd = wake_[0], .events = POLLIN, .revents = 0},
        {.fd = listener_, .events = POLLIN, .revents = 0}};
    const size_t others = watched.size();
    {
      const std::lock_guard lock(mutex_);
      if (stopping_) return;
      for (const Pair& pair : pairs_) {
        for (const int end : pair.ends) {
          // poll() passes over negative ones.
          const bool idle = pair.frozen || pair.ended;
          watched.push_back(
              {.fd = idle ? -1 : end, .events = POLLIN, .revents = 0});
        }
      }
    }
    if (poll(watched.data(), watched.size(), -1) < 0) continue;
    std::array<char, 1 << 16> bytes;
    if (watched[0].revents != 0) Read(wake_[0], &bytes);
    const std::lock_guard lock(mutex_);
    for (size_t i = others; i < watched.size(); ++i) {
      Pair& pair = pairs_[(i - others) / 2];
      if (watched[i].revents == 0 || pair.frozen || pair.ended) continue;
      PassOn(&pair, static_cast<int>((i - others) % 2));
    }
    if (watched[1].revents != 0) Accept();
  }
}

void Relay::Wake() { EXPECT_EQ(write(wake_[1], "", 1), 1); }

void Relay::Accept() {
  const sockaddr_un address = AddressOf(server_);
  Pair pair;
  pair.ends[0] = accept(listener_, nullptr, nullptr);
  pair.ends[1] = NewSocket();
  EXPECT_EQ(connect(pair.ends[1], reinterpret_cast<const sockaddr*>(&address),
                    sizeof(address)),
            0);
  pairs_.push_back(pair);
}

void Relay::PassOn(Pair* pair, int end) {
  std::array<char, 1 << 16> bytes;
  const size_t size = Read(pair->ends[end], &bytes);
  if (end == 0) sent_.append(bytes.data(), size);
  size_t sent = 0;
  while (sent < size) {
    const ssize_t part = send(pair->ends[1 - end], bytes.data() + sent,
                              size - sent, MSG_NOSIGNAL);
    if (part < 0) break;
    sent += static_cast<size_t>(part);
  }
  if (size > 0 && sent == size) return;
  pair->ended = true;
  for (const int closed : pair->ends) shutdown(closed, SHUT_RDWR);
}

}  // namespace lossd::test
