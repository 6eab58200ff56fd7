#include "server/scheduler.h"

#include <algorithm>
#include <utility>

#include "lib/core/parallel_for.h"

namespace lossd {
namespace {

// How long a round is meant to take: so much longer than the team takes to wake
// up and meet, and so much shorter than callers care about.
constexpr double kRoundSeconds = 1e-3;

constexpr std::chrono::seconds kIdlePeriod(10);

// What a caller gets in one turn.
constexpr size_t kTurnBytes = size_t{128} << 10;

// Waking a team costs more than less work does.
constexpr size_t kBytesWorthATeam = size_t{256} << 10;

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options,
                     std::function<void(size_t)> on_jobs,
                     std::function<void(double)> on_busy,
                     std::function<void()> on_idle)
    : options_(options),
      on_jobs_(std::move(on_jobs)),
      on_busy_(std::move(on_busy)),
      on_idle_(std::move(on_idle)),
      round_bytes_(std::clamp(size_t{4} << 20, options.min_round_bytes,
                              options.max_round_bytes)),
      thread_([this] { Loop(); }) {}

Scheduler::~Scheduler() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  changed_.notify_one();
  thread_.join();
}

bool Scheduler::Submit(std::unique_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    if (jobs_ >= options_.max_jobs) return false;
    submitted_.push_back(std::move(job));
    on_jobs_(++jobs_);
  }
  changed_.notify_one();
  return true;
}

bool Scheduler::Full() const {
  const std::lock_guard lock(mutex_);
  return jobs_ >= options_.max_jobs;
}

void Scheduler::Loop() {
  // Makes the team now: when threads cannot be made, libgomp ends the process,
  // which must not happen under load.
  ParallelFor(static_cast<size_t>(options_.threads), options_.threads,
              [](size_t) {});
  std::vector<Unit> round;
  while (true) {
    std::deque<std::unique_ptr<Job>> submitted;
    {
      std::unique_lock lock(mutex_);
      while (!changed_.wait_for(lock, kIdlePeriod, [this] {
        return stopping_ || !submitted_.empty() || !callers_.empty();
      })) {
        on_idle_();
      }
      if (submitted_.empty() && callers_.empty()) return;
      submitted.swap(submitted_);
    }
    Accept(std::move(submitted));
    End([](Running& running) { return running.job->Unwanted(); });
    round.clear();
    const size_t bytes = PickRound(&round);
    if (!round.empty()) RunRound(round, bytes);
    FinishSteps();
  }
}

void Scheduler::Accept(std::deque<std::unique_ptr<Job>> jobs) {
  for (std::unique_ptr<Job>& job : jobs) {
    const auto [caller, is_new] = callers_.try_emplace(job->caller());
    // Whoever was away has no claim to what others got meanwhile.
    if (is_new) caller->second.served = served_;
    caller->second.jobs.push_back({std::move(job)});
  }
}

Scheduler::Caller* Scheduler::NextCaller(
    const std::vector<Caller*>& exhausted) {
  Caller* next = nullptr;
  for (auto& [name, caller] : callers_) {
    if (std::ranges::find(exhausted, &caller) != exhausted.end()) continue;
    if (next == nullptr || caller.served < next->served) next = &caller;
  }
  return next;
}

size_t Scheduler::PickRound(std::vector<Unit>* round) {
  size_t bytes = 0;
  std::vector<Caller*> exhausted;
  while (bytes < round_bytes_) {
    Caller* const caller = NextCaller(exhausted);
    if (caller == nullptr) break;
    served_ = caller->served;
    const auto running = std::ranges::find_if(
        caller->jobs,
        [](const Running& each) { return each.next_unit < each.job->units(); });
    if (running == caller->jobs.end()) {
      exhausted.push_back(caller);
      continue;
    }
    Job& job = *running->job;
    const size_t unit_bytes = std::max<size_t>(job.unit_bytes(), 1);
    size_t turn = 0;
    while (running->next_unit < job.units() && turn < kTurnBytes &&
           bytes < round_bytes_) {
      round->push_back({&job, running->next_unit++});
      turn += unit_bytes;
      bytes += unit_bytes;
    }
    caller->served += turn;
    // The caller's next turn is that of its next job.
    caller->jobs.splice(caller->jobs.end(), caller->jobs, running);
  }
  return bytes;
}

void Scheduler::RunRound(const std::vector<Unit>& round, size_t bytes) {
  const int threads = bytes < kBytesWorthATeam ? 1 : options_.threads;
  const auto start = std::chrono::steady_clock::now();
  ParallelFor(round.size(), threads,
              [&round](size_t i) { round[i].job->RunUnit(round[i].unit); });
  const std::chrono::duration<double> seconds =
      std::chrono::steady_clock::now() - start;
  on_busy_(seconds.count() * threads);
  // By half at most, since one round says little.
  const double factor =
      std::clamp(kRoundSeconds / std::max(seconds.count(), 1e-9), 0.5, 2.0);
  if (bytes >= round_bytes_ || factor < 1) {
    round_bytes_ = std::clamp(
        static_cast<size_t>(static_cast<double>(round_bytes_) * factor),
        options_.min_round_bytes, options_.max_round_bytes);
  }
}

void Scheduler::FinishSteps() {
  End([](Running& running) {
    if (running.next_unit < running.job->units()) return false;
    running.next_unit = 0;
    return !running.job->NextStep();
  });
}

void Scheduler::End(const std::function<bool(Running&)>& ended) {
  std::list<Running> over;
  for (auto& [name, caller] : callers_) {
    for (auto each = caller.jobs.begin(); each != caller.jobs.end();) {
      const auto running = each++;
      if (ended(*running)) over.splice(over.end(), caller.jobs, running);
    }
  }
  if (over.empty()) return;
  std::erase_if(callers_,
                [](const auto& each) { return each.second.jobs.empty(); });
  {
    // Whoever has the answer may count on the room.
    const std::lock_guard lock(mutex_);
    jobs_ -= over.size();
    on_jobs_(jobs_);
  }
  for (const Running& running : over) running.job->Answer();
}

}  // namespace lossd
