#include "client/arena/arena_call.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "client/status.h"

namespace lossd::client_internal {

absl::StatusOr<std::optional<v1::ArenaRef>> CallArenas::Find(
    const std::string& field, const void* data, size_t bytes) {
  if (empty() || bytes == 0) return std::nullopt;
  std::optional<ArenaTable::Place> place = table_->Find(data);
  if (!place) return std::nullopt;
  if (place->arena == nullptr || place->arena->freed()) {
    return RefusedField(absl::StatusCode::kFailedPrecondition, field,
                        "memory of an arena that was freed",
                        "that of an arena that was not, or of none");
  }
  const auto offset = static_cast<size_t>(static_cast<const std::byte*>(data) -
                                          place->memory.data());
  if (bytes > place->memory.size() - offset) {
    return InvalidField(field,
                        absl::StrCat(bytes, " bytes from byte ", offset,
                                     " of an arena of ", place->memory.size()),
                        "memory that lies in one arena, or in none");
  }
  used_.push_back(std::move(place->arena));
  const ArenaMemory& arena = *used_.back();
  if (!arena.shared()) return std::nullopt;
  v1::ArenaRef ref;
  ref.set_id(arena.id().data(), arena.id().size());
  ref.set_offset(offset);
  ref.set_length(bytes);
  return ref;
}

absl::Status NameDestinations(const LossCall& call, CallArenas* arenas,
                              v1::Outputs* outputs) {
  if (arenas->empty()) return absl::OkStatus();
  auto place =
      arenas->Find("gradient", call.gradient.data, call.gradient.bytes);
  if (!place.ok()) return place.status();
  if (*place) *outputs->mutable_gradient_to() = **place;
  for (const auto& [name, destination] : call.extra_gradients) {
    place = arenas->Find(absl::StrCat("extra_gradients.", name),
                         destination.data, destination.bytes);
    if (!place.ok()) return place.status();
    if (*place) (*outputs->mutable_extra_gradients_to())[name] = **place;
  }
  place = arenas->Find("row_losses", call.row_losses.data(),
                       call.row_losses.size_bytes());
  if (!place.ok()) return place.status();
  if (*place) *outputs->mutable_row_losses_to() = **place;
  return absl::OkStatus();
}

}  // namespace lossd::client_internal
