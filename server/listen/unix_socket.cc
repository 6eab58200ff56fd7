#include "server/listen/unix_socket.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "server/listen/socket_group.h"

namespace lossd {
namespace {

absl::Status CannotListen(const ListenAddress& address,
                          const std::string& why) {
  return absl::FailedPreconditionError(
      absl::StrCat("cannot listen on ", address.text, ": ", why));
}

absl::Status CallFailed(const ListenAddress& address, const char* call) {
  return CannotListen(address, absl::StrCat(call, ": ", strerror(errno)));
}

sockaddr_un NameOf(const std::string& path) {
  sockaddr_un name = {};
  name.sun_family = AF_UNIX;
  path.copy(name.sun_path, sizeof(name.sun_path) - 1);
  return name;
}

// Locked as long as this lives, so that nobody else looks at what lies there
// between our look and our deed. Empty if that is not possible; errno says why.
// Whoever can read the folder can lock it, for as long as he likes: two seconds
// are for those who do as we do.
Descriptor LockFolderOf(const std::string& path) {
  constexpr int kTries = 200;
  constexpr std::chrono::milliseconds kPause(10);
  const std::filesystem::path folder =
      std::filesystem::path(path).parent_path();
  Descriptor lock(open(folder.empty() ? "." : folder.c_str(),
                       O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (lock.number() < 0) return {};
  for (int i = 0; i < kTries; ++i) {
    if (flock(lock.number(), LOCK_EX | LOCK_NB) == 0) return lock;
    if (errno != EWOULDBLOCK && errno != EINTR) return {};
    std::this_thread::sleep_for(kPause);
  }
  errno = EWOULDBLOCK;
  return {};
}

absl::Status RemoveIfStale(const ListenAddress& address) {
  struct stat status = {};
  if (lstat(address.unix_path.c_str(), &status) != 0) {
    return errno == ENOENT ? absl::OkStatus()
                           : CannotListen(address, strerror(errno));
  }
  if (!S_ISSOCK(status.st_mode)) {
    return CannotListen(address, "the path exists and is no socket");
  }
  const sockaddr_un name = NameOf(address.unix_path);
  const Descriptor socket(
      ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  // EAGAIN: somebody listens and is busy; EPROTOTYPE: with a socket of another
  // type, as that of arenas is.
  if (connect(socket.number(), reinterpret_cast<const sockaddr*>(&name),
              sizeof(name)) == 0 ||
      errno == EAGAIN || errno == EPROTOTYPE) {
    return CannotListen(address, "somebody answers there");
  }
  if (errno != ECONNREFUSED || unlink(address.unix_path.c_str()) != 0) {
    return CannotListen(address, strerror(errno));
  }
  return absl::OkStatus();
}

}  // namespace

UnixSocket::UnixSocket(Descriptor socket, std::string path)
    : socket_(std::move(socket)), path_(std::move(path)) {
  struct stat status = {};
  if (lstat(path_.c_str(), &status) != 0) return;
  device_ = status.st_dev;
  inode_ = status.st_ino;
}

UnixSocket::~UnixSocket() {
  const Descriptor lock = LockFolderOf(path_);
  struct stat status = {};
  if (lstat(path_.c_str(), &status) == 0 && status.st_dev == device_ &&
      status.st_ino == inode_) {
    unlink(path_.c_str());
  }
}

absl::StatusOr<std::unique_ptr<UnixSocket>> UnixSocket::Listen(
    const ListenAddress& address, int type, std::optional<gid_t> group) {
  std::unique_ptr<UnixSocket> listening;
  const Descriptor lock = LockFolderOf(address.unix_path);
  if (lock.number() < 0) {
    return CannotListen(address, errno == EWOULDBLOCK
                                     ? "somebody else has locked its folder"
                                     : strerror(errno));
  }
  LOSSD_RETURN_IF_ERROR(RemoveIfStale(address));
  Descriptor socket(::socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (socket.number() < 0) return CallFailed(address, "socket");
  // The file gets the mode that the socket has: nobody else can open it before
  // it has its group.
  if (group && fchmod(socket.number(), S_IRUSR | S_IWUSR) != 0) {
    return CallFailed(address, "fchmod");
  }
  const sockaddr_un name = NameOf(address.unix_path);
  if (bind(socket.number(), reinterpret_cast<const sockaddr*>(&name),
           sizeof(name)) != 0) {
    return CallFailed(address, "bind");
  }
  // Removes the file if anything fails from here on: once the lock is gone.
  listening.reset(new UnixSocket(std::move(socket), address.unix_path));
  if (group) {
    LOSSD_RETURN_IF_ERROR(ShareSocket(address.unix_path, *group));
  }
  if (listen(listening->descriptor(), SOMAXCONN) != 0) {
    return CallFailed(address, "listen");
  }
  return listening;
}

}  // namespace lossd
