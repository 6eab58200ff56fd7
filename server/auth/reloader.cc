#include "server/auth/reloader.h"

#include <chrono>
#include <string>
#include <utility>

#include "server/logging.h"

namespace lossd {
namespace {

constexpr std::chrono::seconds kInterval(1);

void Report(const absl::Status& status) {
  if (status.ok()) return;
  LogWarning("reload_failed", {{"error", std::string(status.message())}});
}

}  // namespace

Reloader::Reloader(Authenticator& authenticator, TlsCertificates* certificates)
    : authenticator_(authenticator),
      certificates_(certificates),
      thread_([this] { Loop(); }) {}

Reloader::~Reloader() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

void Reloader::Reload() {
  {
    const std::lock_guard lock(mutex_);
    wanted_ = true;
  }
  changed_.notify_one();
}

void Reloader::Loop() {
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    const bool wanted = std::exchange(wanted_, false);
    lock.unlock();
    Load(!wanted);
    lock.lock();
    changed_.wait_for(lock, kInterval, [this] { return wanted_ || stopping_; });
  }
}

void Reloader::Load(bool changed_only) {
  Report(changed_only ? authenticator_.LoadIfChanged() : authenticator_.Load());
  if (certificates_ == nullptr) return;
  Report(changed_only ? certificates_->LoadIfChanged() : certificates_->Load());
}

}  // namespace lossd
