#include "client/arena/arena_source.h"

#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/status.h"
#include "proto/arena/protocol.h"

namespace lossd::client_internal {

ArenaSource::ArenaSource(std::string target, absl::Duration deadline)
    : target_(std::move(target)), deadline_(deadline) {}

absl::StatusOr<std::shared_ptr<ArenaMemory>> ArenaSource::Create(
    size_t bytes, const ArenaOptions& options) {
  if (bytes == 0 || bytes > arena::kMaxArenaBytes) {
    return InvalidField("bytes", absl::StrCat(bytes),
                        absl::StrCat("1 to ", arena::kMaxArenaBytes));
  }
  absl::StatusOr<std::shared_ptr<ArenaSocket>> socket =
      Connected(options.address.empty() ? address_ : options.address);
  if (socket.ok()) {
    return ArenaMemory::Shared(bytes, *std::move(socket), table_);
  }
  if (!options.fall_back || absl::IsInvalidArgument(socket.status())) {
    return socket.status();
  }
  return ArenaMemory::Ordinary(bytes, table_);
}

absl::StatusOr<std::shared_ptr<ArenaSocket>> ArenaSource::Connected(
    const std::string& address) {
  if (address.empty()) {
    return absl::UnimplementedError(
        absl::StrCat(target_,
                     ": no arenas: the server has no arena socket, or none for "
                     "callers from another machine"));
  }
  const std::lock_guard lock(mutex_);
  std::shared_ptr<ArenaSocket> socket = socket_.lock();
  if (socket != nullptr && socket->address() == address && socket->Usable()) {
    return socket;
  }
  auto connected = ArenaSocket::Connect(address, deadline_);
  if (connected.ok()) socket_ = *connected;
  return connected;
}

}  // namespace lossd::client_internal
