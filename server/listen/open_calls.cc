#include "server/listen/open_calls.h"

namespace lossd {

// The last call ended on a thread of gRPC, and how gRPC orders that before this
// the thread sanitizer cannot see.
OpenCalls::~OpenCalls() {
  const std::lock_guard lock(mutex_);
  open_.clear();
}

OpenCalls::Call::Call(OpenCalls& calls, std::string peer)
    : calls_(calls), peer_(std::move(peer)) {
  {
    const std::lock_guard lock(calls_.mutex_);
    if (++calls_.open_[peer_] != calls_.most_ + 1) return;
  }
  calls_.close_(peer_);
}

OpenCalls::Call::~Call() {
  const std::lock_guard lock(calls_.mutex_);
  const auto found = calls_.open_.find(peer_);
  if (--found->second == 0) calls_.open_.erase(found);
}

}  // namespace lossd
