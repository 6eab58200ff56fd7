#ifndef LOSSD_SERVER_ARENA_ARENA_OVERLAPS_H_
#define LOSSD_SERVER_ARENA_ARENA_OVERLAPS_H_

#include <map>
#include <span>

#include "absl/status/status.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// Which items of a request want outputs written to where another tensor of the
// request is, of theirs or of another item: since items are computed in any
// order, nobody could tell what would be read. Only a gradient that replaces
// exactly its own predictions is allowed. Thread-safe once made.
class ArenaOverlaps {
 public:
  ArenaOverlaps() = default;
  // Takes each item with what it leaves to the defaults. Keeps nothing of them.
  ArenaOverlaps(const v1::LossItem& defaults,
                std::span<const v1::LossItem* const> items);

  // INVALID_ARGUMENT, naming the output and what it overlaps, for the item at
  // this place.
  absl::Status StatusOf(int item) const;

 private:
  std::map<int, absl::Status> refused_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ARENA_ARENA_OVERLAPS_H_
