// The one thread that computes, and what waits for it.

#ifndef LOSSD_SERVER_COMPUTE_QUEUE_H_
#define LOSSD_SERVER_COMPUTE_QUEUE_H_

#include <condition_variable>
#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

namespace lossd {

// Runs jobs in the order they came, one at a time, on a thread of its own.
// OpenMP gives every calling thread a team: because only this thread calls it,
// there is one, of constant size. All functions are thread-safe.
class ComputeQueue {
 public:
  // At most `capacity` jobs wait. `on_depth` hears how many do whenever that
  // changes; it is called under a lock and must not call back.
  ComputeQueue(int threads, size_t capacity,
               std::function<void(size_t)> on_depth);
  // Runs what still waits.
  ~ComputeQueue();
  ComputeQueue(const ComputeQueue&) = delete;
  ComputeQueue& operator=(const ComputeQueue&) = delete;

  // False, and the job is dropped, if the queue is full.
  bool Push(std::function<void()> job);

  // Whether Push would return false now.
  bool Full() const;

 private:
  void Run(int threads);

  const size_t capacity_;
  const std::function<void(size_t)> on_depth_;
  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_COMPUTE_QUEUE_H_
