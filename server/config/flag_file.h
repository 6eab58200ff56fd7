#ifndef LOSSD_SERVER_CONFIG_FLAG_FILE_H_
#define LOSSD_SERVER_CONFIG_FLAG_FILE_H_

#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"

namespace lossd {

struct FlagLine {
  // From 1.
  int number = 0;
  std::string name;
  std::string value;
};

// The flags of a file: "name=value" a line, also "--name=value". A line that
// begins with "#" is a comment. Spaces around names and values do not count.
// INVALID_ARGUMENT, one line that says which, for a line that is none of these.
absl::StatusOr<std::vector<FlagLine>> ParseFlagFile(std::string_view text);

}  // namespace lossd

#endif  // LOSSD_SERVER_CONFIG_FLAG_FILE_H_
