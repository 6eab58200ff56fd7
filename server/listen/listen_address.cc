#include "server/listen/listen_address.h"

#include <sys/un.h>

#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"

namespace lossd {
namespace {

constexpr char kUnixPrefix[] = "unix:";

absl::StatusOr<ListenAddress> ParseUnix(const std::string& text) {
  ListenAddress address;
  address.text = text;
  address.unix_path = std::string(absl::StripPrefix(text, kUnixPrefix));
  constexpr size_t kMaxLength = sizeof(sockaddr_un::sun_path) - 1;
  if (address.unix_path.empty() || address.unix_path.size() > kMaxLength) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "': the path must have 1 to ", kMaxLength, " bytes"));
  }
  return address;
}

}  // namespace

absl::StatusOr<ListenAddress> ParseListenAddress(const std::string& text) {
  if (absl::StartsWith(text, kUnixPrefix)) return ParseUnix(text);
  ListenAddress address;
  address.text = text;
  const size_t colon = text.rfind(':');
  bool valid = colon != std::string::npos && colon > 0;
  if (valid) {
    address.host = text.substr(0, colon);
    valid = absl::SimpleAtoi(text.substr(colon + 1), &address.port) &&
            address.port >= 0 && address.port <= 65535;
    const bool bracketed =
        address.host.front() == '[' && address.host.back() == ']';
    if (bracketed) address.host = address.host.substr(1, colon - 2);
    valid = valid && !address.host.empty() &&
            (bracketed || address.host.find(':') == std::string::npos);
  }
  if (!valid) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", text, "' is neither HOST:PORT (port 0 to 65535) nor unix:PATH"));
  }
  return address;
}

bool SameSocket(const ListenAddress& a, const ListenAddress& b) {
  if (a.unix_path.empty() != b.unix_path.empty()) return false;
  if (a.unix_path.empty()) {
    return a.host == b.host && a.port == b.port && a.port != 0;
  }
  return std::filesystem::path(a.unix_path).lexically_normal() ==
         std::filesystem::path(b.unix_path).lexically_normal();
}

std::string WithPort(const ListenAddress& address, int port) {
  if (!address.unix_path.empty()) return address.text;
  return absl::StrCat(address.text.substr(0, address.text.rfind(':') + 1),
                      port);
}

}  // namespace lossd
