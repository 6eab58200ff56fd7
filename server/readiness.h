// Whether new calls should come here.

#ifndef LOSSD_SERVER_READINESS_H_
#define LOSSD_SERVER_READINESS_H_

#include <atomic>
#include <cstddef>

namespace lossd {

// Says no while the server starts and stops, and while its queue is so full
// that calls are about to be refused: from nine tenths of what it holds until
// it is down to half, so that a moment's load does not take a server out of
// the balance just when it is needed. Thread-safe.
class Readiness {
 public:
  explicit Readiness(size_t max_jobs) : max_jobs_(max_jobs) {}

  // Once, and then Drain once.
  void Serve() { serving_ = true; }
  void Drain() {
    serving_ = false;
    draining_ = true;
  }

  // To be told whenever there are more jobs, or fewer.
  void SetJobs(size_t jobs) {
    if (jobs >= max_jobs_ - max_jobs_ / 10) crowded_ = true;
    if (jobs <= max_jobs_ / 2) crowded_ = false;
  }

  bool serving() const { return serving_; }
  bool draining() const { return draining_; }
  bool crowded() const { return crowded_; }
  bool ready() const { return serving_ && !crowded_; }

 private:
  const size_t max_jobs_;
  std::atomic<bool> serving_ = false;
  std::atomic<bool> draining_ = false;
  std::atomic<bool> crowded_ = false;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_READINESS_H_
