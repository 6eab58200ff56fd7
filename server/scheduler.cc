#include "server/scheduler.h"

#include <algorithm>
#include <functional>
#include <queue>
#include <tuple>
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

// How many rounds' worth a job does at once that is alone, so as to wake the
// team less often; a cancelled one ends no sooner.
constexpr size_t kRoundsAlone = 3;

// Units that a thread takes at once in such a round.
constexpr size_t kUnitsAlone = 4;

// Waking a team costs more than less work does.
constexpr size_t kBytesWorthATeam = size_t{256} << 10;

// In seconds.
double TimeParallelFor(size_t count, int threads,
                       const std::function<void(size_t)>& body) {
  const auto start = std::chrono::steady_clock::now();
  ParallelFor(count, threads, body);
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - start)
      .count();
}

}  // namespace

Scheduler::Scheduler(const SchedulerOptions& options,
                     std::function<void(size_t)> on_jobs,
                     std::function<void(size_t, double)> on_work,
                     std::function<void()> on_idle)
    : options_(options),
      on_jobs_(std::move(on_jobs)),
      on_work_(std::move(on_work)),
      on_idle_(std::move(on_idle)),
      round_bytes_(std::clamp(size_t{4} << 20, options.min_round_bytes,
                              options.max_round_bytes)),
      heartbeat_(std::chrono::steady_clock::now()),
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
    Push(std::move(job));
  }
  changed_.notify_one();
  return true;
}

void Scheduler::SubmitMore(std::unique_ptr<Job> job) {
  {
    const std::lock_guard lock(mutex_);
    Push(std::move(job));
  }
  changed_.notify_one();
}

void Scheduler::Push(std::unique_ptr<Job> job) {
  submitted_.push_back(std::move(job));
  called_ = true;
  on_jobs_(++jobs_);
}

bool Scheduler::Full() const {
  const std::lock_guard lock(mutex_);
  return jobs_ >= options_.max_jobs;
}

std::chrono::duration<double> Scheduler::SinceHeartbeat() const {
  return std::chrono::steady_clock::now() - heartbeat_.load();
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
        return stopping_ || !submitted_.empty() || running_ > 0;
      })) {
        heartbeat_ = std::chrono::steady_clock::now();
        lock.unlock();
        on_idle_();
        lock.lock();
      }
      if (submitted_.empty() && running_ == 0) return;
      submitted.swap(submitted_);
      called_ = false;
    }
    heartbeat_ = std::chrono::steady_clock::now();
    Accept(std::move(submitted));
    DropUnwanted();
    round.clear();
    if (running_ == 1 && options_.threads > 1) {
      RunAlone(round, PickRound(kRoundsAlone * round_bytes_, &round));
    } else {
      RunRound(round, PickRound(round_bytes_, &round));
    }
    FinishSteps();
  }
}

void Scheduler::Accept(std::deque<std::unique_ptr<Job>> jobs) {
  // Whoever waits alone owes nobody.
  if (running_ == 0) callers_.clear();
  running_ += jobs.size();
  for (std::unique_ptr<Job>& job : jobs) {
    const auto [entry, is_new] = callers_.try_emplace(job->caller());
    Caller& caller = entry->second;
    // Whoever was away has no claim to what others got meanwhile.
    if (is_new) caller.served = served_;
    std::list<Running> added;
    added.push_back({std::move(job)});
    Place(&caller, &added, added.begin());
  }
}

void Scheduler::Place(Caller* caller, std::list<Running>* from,
                      std::list<Running>::iterator running) {
  std::list<Running>& to = running->next_unit < running->job->units()
                               ? caller->ready
                               : caller->given;
  to.splice(to.end(), *from, running);
}

size_t Scheduler::TakeTurn(Caller* caller, size_t most_bytes,
                           std::vector<Unit>* round) {
  const auto running = caller->ready.begin();
  Job& job = *running->job;
  const size_t units = job.units();
  if (!std::exchange(running->began, true)) job.Begin();
  const size_t unit_bytes = std::max<size_t>(job.unit_bytes(), 1);
  size_t bytes = 0;
  while (running->next_unit < units && bytes < most_bytes) {
    round->push_back({&job, running->next_unit++});
    bytes += unit_bytes;
  }
  // The caller's next turn is that of its next job.
  Place(caller, &caller->ready, running);
  return bytes;
}

size_t Scheduler::PickRound(size_t most_bytes, std::vector<Unit>* round) {
  struct Turn {
    uint64_t served;
    // Of equals, the first.
    size_t order;
    Caller* caller;
    bool operator>(const Turn& other) const {
      return std::tie(served, order) > std::tie(other.served, other.order);
    }
  };
  std::priority_queue<Turn, std::vector<Turn>, std::greater<>> turns;
  for (auto& [name, caller] : callers_) {
    if (caller.ready.empty()) continue;
    turns.push({caller.served, turns.size(), &caller});
  }
  size_t bytes = 0;
  while (bytes < most_bytes && !turns.empty()) {
    const auto [served, order, caller] = turns.top();
    turns.pop();
    served_ = served;
    const size_t turn =
        TakeTurn(caller, std::min(kTurnBytes, most_bytes - bytes), round);
    bytes += turn;
    caller->served += turn;
    if (!caller->ready.empty()) turns.push({caller->served, order, caller});
  }
  for (auto& [name, caller] : callers_) {
    if (caller.ready.empty()) caller.served = std::max(caller.served, served_);
  }
  return bytes;
}

void Scheduler::RunRound(const std::vector<Unit>& round, size_t bytes) {
  if (round.empty()) return;
  const int threads = bytes < kBytesWorthATeam ? 1 : options_.threads;
  const double seconds = TimeParallelFor(
      round.size(), threads,
      [&round](size_t i) { round[i].job->RunUnit(round[i].unit); });
  on_work_(round.size(), seconds * threads);
  Measure(bytes, seconds);
}

void Scheduler::RunAlone(const std::vector<Unit>& round, size_t bytes) {
  if (bytes < kBytesWorthATeam) return RunRound(round, bytes);
  const int threads = options_.threads;
  // In order, so that those that are left are the last ones.
  std::atomic<size_t> next = 0;
  const double seconds = TimeParallelFor(
      static_cast<size_t>(threads), threads, [this, &round, &next](size_t) {
        while (!called_) {
          const size_t first = next.fetch_add(kUnitsAlone);
          if (first >= round.size()) return;
          const size_t last = std::min(first + kUnitsAlone, round.size());
          for (size_t i = first; i < last; ++i) {
            round[i].job->RunUnit(round[i].unit);
          }
        }
      });
  const size_t left = round.size() - std::min(next.load(), round.size());
  on_work_(round.size() - left, seconds * threads);
  if (left > 0) return TakeBack(left);
  Measure(bytes, seconds);
}

void Scheduler::TakeBack(size_t units) {
  for (auto& [name, caller] : callers_) {
    for (std::list<Running>* jobs : {&caller.ready, &caller.given}) {
      if (jobs->empty()) continue;
      Running& running = jobs->front();
      running.next_unit -= units;
      caller.served -= units * std::max<size_t>(running.job->unit_bytes(), 1);
      served_ = std::min(served_, caller.served);
      return caller.ready.splice(caller.ready.begin(), *jobs, jobs->begin());
    }
  }
}

void Scheduler::Measure(size_t bytes, double seconds) {
  if (bytes < round_bytes_ && seconds < kRoundSeconds) return;
  const double round = static_cast<double>(round_bytes_);
  const double fitting =
      static_cast<double>(bytes) * kRoundSeconds / std::max(seconds, 1e-9);
  // By half at most, since one round says little.
  round_bytes_ =
      std::clamp(static_cast<size_t>(std::clamp(fitting, round / 2, round * 2)),
                 options_.min_round_bytes, options_.max_round_bytes);
}

void Scheduler::DropUnwanted() {
  std::list<Running> over;
  for (auto& [name, caller] : callers_) {
    for (std::list<Running>* jobs : {&caller.ready, &caller.given}) {
      for (auto each = jobs->begin(); each != jobs->end();) {
        const auto running = each++;
        if (running->job->Unwanted()) over.splice(over.end(), *jobs, running);
      }
    }
  }
  End(over);
}

void Scheduler::FinishSteps() {
  std::list<Running> over;
  for (auto& [name, caller] : callers_) {
    std::list<Running> given = std::exchange(caller.given, {});
    while (!given.empty()) {
      const auto running = given.begin();
      running->next_unit = 0;
      if (running->job->NextStep()) {
        Place(&caller, &given, running);
      } else {
        over.splice(over.end(), given, running);
      }
    }
  }
  End(over);
}

void Scheduler::End(const std::list<Running>& over) {
  if (over.empty()) return;
  running_ -= over.size();
  // Others remember how much they have had.
  std::erase_if(callers_, [this](const auto& each) {
    const Caller& caller = each.second;
    return caller.ready.empty() && caller.given.empty() &&
           caller.served <= served_;
  });
  {
    // Whoever has the answer may count on the room.
    const std::lock_guard lock(mutex_);
    jobs_ -= over.size();
    on_jobs_(jobs_);
  }
  for (const Running& running : over) running.job->Answer();
}

}  // namespace lossd
