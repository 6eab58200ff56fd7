#include "server/arena/arena_socket.h"

#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "server/socket_group.h"

namespace lossd {
namespace {

absl::Status CannotListen(const ListenAddress& address, const char* call) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen on ", address.text, " for arenas: ", call,
                   ": ", strerror(errno)));
}

}  // namespace

ArenaSocket::ArenaSocket(Descriptor socket, std::string path)
    : socket_(std::move(socket)), path_(std::move(path)) {
  struct stat status = {};
  if (lstat(path_.c_str(), &status) != 0) return;
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

ArenaSocket::~ArenaSocket() {
  struct stat status = {};
  if (lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
      status.st_ino == inode_) {
    unlink(path_.c_str());
  }
}

absl::StatusOr<std::unique_ptr<ArenaSocket>> ArenaSocket::Listen(
    const ListenAddress& address, const std::string& group) {
  const absl::StatusOr<gid_t> group_id = SocketGroup(group);
  LOSSD_RETURN_IF_ERROR(group_id.status());
  LOSSD_RETURN_IF_ERROR(CheckFree(address));
  Descriptor socket(
      ::socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.number() < 0) return CannotListen(address, "socket");
  // The file gets the mode that the socket has: nobody else can open it before
  // it has its group.
  if (fchmod(socket.number(), S_IRUSR | S_IWUSR) != 0) {
    return CannotListen(address, "fchmod");
  }
  const sockaddr_un name = UnixName(address);
  if (bind(socket.number(), reinterpret_cast<const sockaddr*>(&name),
           sizeof(name)) != 0) {
    return CannotListen(address, "bind");
  }
  // Removes the file if anything fails from here on.
  std::unique_ptr<ArenaSocket> listening(
      new ArenaSocket(std::move(socket), address.unix_path));
  LOSSD_RETURN_IF_ERROR(ShareSocket(address.unix_path, *group_id));
  if (listen(listening->descriptor(), SOMAXCONN) != 0) {
    return CannotListen(address, "listen");
  }
  return listening;
}

}  // namespace lossd
