#include "client/cli/array_file.h"

#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <ios>
#include <iterator>
#include <string>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/npy.h"

namespace lossd::cli {
namespace {

std::string SystemReason() { return std::generic_category().message(errno); }

absl::Status CannotBeWritten() {
  return absl::PermissionDeniedError(
      absl::StrCat("cannot be written: ", SystemReason()));
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  errno = 0;
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    return errno == ENOENT ? absl::NotFoundError(SystemReason())
                           : absl::PermissionDeniedError(absl::StrCat(
                                 "cannot be opened: ", SystemReason()));
  }
  // A folder can be opened, but not read.
  if (file.peek() == std::ifstream::traits_type::eof() && errno != 0) {
    return absl::PermissionDeniedError(
        absl::StrCat("cannot be read: ", SystemReason()));
  }
  file.clear();
  return std::string(std::istreambuf_iterator<char>(file),
                     std::istreambuf_iterator<char>());
}

absl::StatusOr<Array> ReadArray(const std::string& path, CsvElements elements) {
  const bool npy = absl::EndsWithIgnoreCase(path, ".npy");
  if (!npy && !absl::EndsWithIgnoreCase(path, ".csv")) {
    return absl::InvalidArgumentError(
        "unknown format, allowed: names that end in .npy or .csv");
  }
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return text.status();
  return npy ? ParseNpy(*text) : ParseCsv(*text, elements);
}

absl::Status CheckOutput(const std::string& path) {
  if (!absl::EndsWithIgnoreCase(path, ".npy")) {
    return absl::InvalidArgumentError(
        "unknown format, allowed: names that end in .npy");
  }
  std::error_code error;
  if (std::filesystem::is_directory(path, error)) {
    // access() below would say that folders can be written: with new files.
    errno = EISDIR;
    return CannotBeWritten();
  }
  if (access(path.c_str(), F_OK) == 0) {
    return access(path.c_str(), W_OK) == 0 ? absl::OkStatus()
                                           : CannotBeWritten();
  }
  const std::string folder =
      std::filesystem::path(path).replace_filename(".").string();
  return access(folder.c_str(), W_OK | X_OK) == 0 ? absl::OkStatus()
                                                  : CannotBeWritten();
}

absl::Status WriteArray(const std::string& path, const Array& array) {
  if (absl::Status status = CheckOutput(path); !status.ok()) return status;
  errno = 0;
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  if (!file) return CannotBeWritten();
  const std::string text = FormatNpy(array);
  file.write(text.data(), static_cast<std::streamsize>(text.size()));
  file.close();
  if (!file) {
    return absl::DataLossError(
        absl::StrCat("was not written whole: ", SystemReason()));
  }
  return absl::OkStatus();
}

bool SameFile(const std::string& a, const std::string& b) {
  std::error_code error;
  if (std::filesystem::equivalent(a, b, error)) return true;
  // Of files that do not exist yet the path is all there is.
  const auto resolved = [&error](const std::string& path) {
    return std::filesystem::weakly_canonical(
        std::filesystem::absolute(path, error), error);
  };
  const std::filesystem::path whole = resolved(a);
  return !error && whole == resolved(b) && !error;
}

}  // namespace lossd::cli
