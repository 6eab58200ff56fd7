#include "server/listen/socket_group.h"

#include <grp.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <cstring>
#include <limits>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace lossd {

absl::StatusOr<gid_t> SocketGroup(const std::string& group) {
  if (group.empty()) return getegid();
  struct group entry = {};
  struct group* found = nullptr;
  std::vector<char> text(1024);
  // ERANGE: the group has more members than that.
  while (getgrnam_r(group.c_str(), &entry, text.data(), text.size(), &found) ==
         ERANGE) {
    text.resize(2 * text.size());
  }
  if (found != nullptr) return found->gr_gid;
  uint32_t number = 0;
  // The last number means no group at all.
  if (absl::SimpleAtoi(group, &number) &&
      number != std::numeric_limits<uint32_t>::max()) {
    return number;
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "'", group, "' is neither a group of this machine nor a number"));
}

absl::Status ShareSocket(const std::string& path, gid_t group) {
  if (lchown(path.c_str(), static_cast<uid_t>(-1), group) == 0 &&
      chmod(path.c_str(), S_IRUSR | S_IWUSR | S_IRGRP | S_IWGRP) == 0) {
    return absl::OkStatus();
  }
  return absl::FailedPreconditionError(absl::StrCat(
      "cannot give ", path, " to group ", group, ": ", strerror(errno)));
}

}  // namespace lossd
