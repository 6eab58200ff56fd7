// Arenas that a call uses. Internal to the client.

#ifndef LOSSD_CLIENT_ARENA_ARENA_CALL_H_
#define LOSSD_CLIENT_ARENA_ARENA_CALL_H_

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/arena/arena_memory.h"
#include "client/arena/arena_table.h"
#include "client/client.h"
#include "lossd/v1/loss_service.pb.h"
#include "lossd/v1/tensor.pb.h"

namespace lossd::client_internal {

// Finds the arenas that a call's arrays lie in, and keeps them until it goes.
// For one thread; what it finds is of one client.
class CallArenas {
 public:
  // `table` must outlive this.
  explicit CallArenas(const ArenaTable& table)
      : table_(table.empty() ? nullptr : &table) {}

  // Whether nothing can be found.
  bool empty() const { return table_ == nullptr; }

  // What stands for these bytes in a message if they lie in an arena that is
  // shared with the server; unset if they go along as bytes.
  // FAILED_PRECONDITION if the arena was freed, INVALID_ARGUMENT if it ends
  // before they do; both name `field`.
  absl::StatusOr<std::optional<v1::ArenaRef>> Find(const std::string& field,
                                                   const void* data,
                                                   size_t bytes);

 private:
  const ArenaTable* const table_;
  std::vector<std::shared_ptr<ArenaMemory>> used_;
};

// Names the destinations of `call` that lie in arenas. Fails as Find does.
absl::Status NameDestinations(const LossCall& call, CallArenas* arenas,
                              v1::Outputs* outputs);

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_ARENA_ARENA_CALL_H_
