#include "server/metrics/stages.h"

namespace lossd {
namespace {

constexpr std::array kStageNames = {"admission", "decode", "queue", "compute",
                                    "encode"};

// Two a decade.
const std::vector<double> kStageBounds = {1e-5,   3.2e-5, 1e-4,  3.2e-4, 1e-3,
                                          3.2e-3, 0.01,   0.032, 0.1,    0.32,
                                          1,      3.2,    10};

}  // namespace

StageMetrics::StageMetrics(Families& families) {
  HistogramFamily& family = families.Histograms(
      "lossd_stage_duration_seconds",
      "What one call spent in a stage, all its turns together.", kStageBounds);
  for (size_t i = 0; i < kStageNames.size(); ++i) {
    histograms_[i] = &family.Add({{"stage", kStageNames[i]}});
  }
}

void StageTimer::Enter(Stage stage) {
  if (in_stage_ && stage_ == stage) return;
  const Clock::time_point now = Clock::now();
  Account(now);
  in_stage_ = true;
  stage_ = stage;
  since_ = now;
}

void StageTimer::Wait(Stage next) {
  next_ = in_stage_ ? stage_ : next;
  Enter(Stage::kQueue);
}

void StageTimer::Leave() {
  if (!in_stage_) return;
  Account(Clock::now());
  in_stage_ = false;
}

void StageTimer::Finish() {
  Leave();
  for (size_t i = 0; i < spent_.size(); ++i) {
    if (spent_[i].entered) {
      metrics_.Observe(static_cast<Stage>(i), spent_[i].time);
    }
    spent_[i] = {};
  }
}

void StageTimer::Account(Clock::time_point now) {
  if (!in_stage_) return;
  Spent& spent = spent_[static_cast<size_t>(stage_)];
  spent.entered = true;
  spent.time += now - since_;
}

}  // namespace lossd
