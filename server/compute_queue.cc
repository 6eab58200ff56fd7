#include "server/compute_queue.h"

#include <utility>

#include "lib/core/parallel_for.h"

namespace lossd {

ComputeQueue::ComputeQueue(int threads, size_t capacity,
                           std::function<void(size_t)> on_depth)
    : capacity_(capacity),
      on_depth_(std::move(on_depth)),
      thread_([this, threads] { Run(threads); }) {}

ComputeQueue::~ComputeQueue() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

bool ComputeQueue::Push(std::function<void()> job) {
  {
    const std::lock_guard lock(mutex_);
    if (jobs_.size() >= capacity_) return false;
    jobs_.push_back(std::move(job));
    on_depth_(jobs_.size());
  }
  changed_.notify_one();
  return true;
}

bool ComputeQueue::Full() const {
  const std::lock_guard lock(mutex_);
  return jobs_.size() >= capacity_;
}

void ComputeQueue::Run(int threads) {
  // Makes the team now: when threads cannot be made, libgomp ends the process,
  // which must not happen under load.
  ParallelFor(static_cast<size_t>(threads), threads, [](size_t) {});
  std::unique_lock lock(mutex_);
  while (true) {
    changed_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    const std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    on_depth_(jobs_.size());
    lock.unlock();
    job();
    lock.lock();
  }
}

}  // namespace lossd
