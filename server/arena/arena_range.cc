#include "server/arena/arena_range.h"

#include <algorithm>
#include <array>
#include <optional>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "lib/core/violation.h"
#include "server/status_adapter.h"

namespace lossd {

absl::StatusOr<ArenaRange> FindRange(const ArenaRegistry* arenas,
                                     const std::string& path,
                                     const v1::ArenaRef& ref) {
  if (arenas == nullptr) {
    return NotServed(
        {path, std::nullopt, "an arena",
         "no arenas: this server offers none, or none to callers on "
         "other machines"});
  }
  ArenaRange range{arenas->Find(ref.id()), {}};
  if (range.arena == nullptr) {
    // Nothing that would help to guess one.
    return NotFound({absl::StrCat(path, ".id"), std::nullopt, "an unknown id",
                     "the id of an arena that has not been freed"});
  }
  const std::span<std::byte> memory = range.arena->memory();
  if (ref.length() > memory.size() ||
      ref.offset() > memory.size() - ref.length()) {
    return InvalidField(
        {path, std::nullopt,
         absl::StrCat("offset ", ref.offset(), ", length ", ref.length()),
         absl::StrCat("a range inside the arena's ", memory.size(), " bytes")});
  }
  range.memory = memory.subspan(ref.offset(), ref.length());
  return range;
}

const ArenaRegistry* ArenasOf(const ArenaRegistry* arenas,
                              absl::string_view peer) {
  // gRPC escapes the brackets.
  static constexpr std::array<absl::string_view, 4> kLocal = {
      "unix:", "ipv4:127.", "ipv6:[::1]:", "ipv6:%5B::1%5D:"};
  const bool local =
      std::ranges::any_of(kLocal, [peer](absl::string_view prefix) {
        return absl::StartsWith(peer, prefix);
      });
  return local ? arenas : nullptr;
}

}  // namespace lossd
