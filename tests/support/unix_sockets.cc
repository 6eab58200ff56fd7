#include "tests/support/unix_sockets.h"

#include <sys/socket.h>

#include <cstring>
#include <filesystem>
#include <iterator>

namespace lossd::test {

sockaddr_un UnixName(const std::string& path) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof(name.sun_path) - 1);
  return name;
}

bool SendPacket(int socket, std::span<const std::byte> packet,
                const std::vector<int>& files) {
  std::vector<std::byte> copy(packet.begin(), packet.end());
  iovec part = {copy.data(), copy.size()};
  msghdr message = {};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  const size_t bytes = files.size() * sizeof(int);
  std::vector<cmsghdr> control(CMSG_SPACE(bytes) / sizeof(cmsghdr) + 1);
  if (bytes > 0) {
    message.msg_control = control.data();
    message.msg_controllen = CMSG_SPACE(bytes);
    cmsghdr* const head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(bytes);
    std::memcpy(CMSG_DATA(head), files.data(), bytes);
  }
  return sendmsg(socket, &message, MSG_NOSIGNAL) ==
         static_cast<ssize_t>(packet.size());
}

size_t OpenDescriptors() {
  // Without the one that reads the folder.
  return static_cast<size_t>(std::distance(
             std::filesystem::directory_iterator("/proc/self/fd"), {})) -
         1;
}

}  // namespace lossd::test
