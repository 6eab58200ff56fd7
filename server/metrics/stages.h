// Where the time of a call goes.

#ifndef LOSSD_SERVER_METRICS_STAGES_H_
#define LOSSD_SERVER_METRICS_STAGES_H_

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>

#include "server/metrics/families.h"

namespace lossd {

enum class Stage : uint8_t {
  // From the headers until memory is reserved.
  kAdmission,
  // Parsing and planning.
  kDecode,
  // Until the scheduler runs the first unit.
  kQueue,
  // Until the last unit has run: also turns of others in between.
  kCompute,
  // Until gRPC has what is to be sent.
  kEncode,
};

// Thread-safe.
class StageMetrics {
 public:
  explicit StageMetrics(Families& families);
  void Observe(Stage stage, std::chrono::duration<double> time) {
    histograms_[static_cast<size_t>(stage)]->Observe(time.count());
  }

 private:
  std::array<ShardedHistogram*, 5> histograms_ = {};
};

// The stages of one call, each observed once with all the time that was spent
// in it, if any was. For one thread at a time.
class StageTimer {
 public:
  explicit StageTimer(StageMetrics& metrics) : metrics_(metrics) {}
  ~StageTimer() { Finish(); }
  StageTimer(const StageTimer&) = delete;
  StageTimer& operator=(const StageTimer&) = delete;

  // Ends the stage before.
  void Enter(Stage stage);
  // Enters kQueue, until Resume enters the stage of before or, if there was
  // none, `next`.
  void Wait(Stage next = Stage::kDecode);
  void Resume() { Enter(next_); }
  // Is in no stage until the next Enter.
  void Leave();
  // Observes what there was until now, and forgets it.
  void Finish();

 private:
  using Clock = std::chrono::steady_clock;
  struct Spent {
    bool entered = false;
    Clock::duration time = {};
  };

  void Account(Clock::time_point now);

  StageMetrics& metrics_;
  std::array<Spent, 5> spent_;
  bool in_stage_ = false;
  Stage stage_ = Stage::kAdmission;
  Stage next_ = Stage::kDecode;
  Clock::time_point since_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_METRICS_STAGES_H_
