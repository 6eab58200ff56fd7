// Ranges of arenas that requests name.

#ifndef LOSSD_SERVER_ARENA_ARENA_RANGE_H_
#define LOSSD_SERVER_ARENA_ARENA_RANGE_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "lossd/v1/tensor.pb.h"
#include "server/arena/arena_registry.h"

namespace lossd {

// Memory in an arena, which lives as long as this, whatever its client does.
// The client can write to it at any time.
struct ArenaRange {
  std::shared_ptr<Arena> arena;
  std::span<std::byte> memory;
};

// What `ref`, the field `path` of an item, names; `arenas` are those that the
// caller may use, null for none. Errors carry the violation: UNIMPLEMENTED
// without arenas; NOT_FOUND for an id that is unknown, freed or malformed, the
// same for all; INVALID_ARGUMENT for a range that is not inside the arena.
absl::StatusOr<ArenaRange> FindRange(const ArenaRegistry* arenas,
                                     const std::string& path,
                                     const v1::ArenaRef& ref);

// The arenas that a caller may use, given gRPC's name of a call's other end:
// none unless that is on this machine.
const ArenaRegistry* ArenasOf(const ArenaRegistry* arenas,
                              absl::string_view peer);

}  // namespace lossd

#endif  // LOSSD_SERVER_ARENA_ARENA_RANGE_H_
