#include "server/config/flag_file.h"

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace lossd {

absl::StatusOr<std::vector<FlagLine>> ParseFlagFile(std::string_view text) {
  std::vector<FlagLine> lines;
  int number = 0;
  for (absl::string_view line :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    const size_t equals = line.find('=');
    if (equals == absl::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", number, ": '", line, "' is not name=value"));
    }
    const absl::string_view name = absl::StripPrefix(
        absl::StripAsciiWhitespace(line.substr(0, equals)), "--");
    const absl::string_view value =
        absl::StripAsciiWhitespace(line.substr(equals + 1));
    lines.push_back({number, std::string(name), std::string(value)});
  }
  return lines;
}

}  // namespace lossd
