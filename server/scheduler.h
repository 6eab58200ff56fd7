// The one thread that computes, and how it divides its time.

#ifndef LOSSD_SERVER_SCHEDULER_H_
#define LOSSD_SERVER_SCHEDULER_H_

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "server/job.h"

namespace lossd {

struct SchedulerOptions {
  // Of the OpenMP team, constant.
  int threads = 1;
  // Most jobs at a time.
  size_t max_jobs = 4096;
  // Bytes of a round. Within these bounds a round is made as large as lasts
  // about a millisecond.
  size_t min_round_bytes = size_t{256} << 10;
  size_t max_round_bytes = size_t{64} << 20;
};

// Runs jobs in rounds: one parallel loop over units of all jobs, so that a
// small job waits for a round and not for a large job. A round's bytes go to
// the callers that have had least, in turn; a caller's go to its jobs in turn.
// Nobody saves up what he does not use, and who has had more than his share
// keeps waiting for the others, also if he comes back. A job that is alone has
// longer rounds, which end early when another one comes.
//
// OpenMP gives every calling thread a team: because only this thread calls it,
// there is one. All functions are thread-safe.
class Scheduler {
 public:
  // `on_jobs` hears how many jobs there are whenever that changes, on any
  // thread and under a lock. On the scheduler's thread `on_work` hears how many
  // units a round had and how many seconds it took, added up over the threads
  // that ran it, and `on_idle` is called when there was no job for ten seconds.
  Scheduler(
      const SchedulerOptions& options, std::function<void(size_t)> on_jobs,
      std::function<void(size_t, double)> on_work,
      std::function<void()> on_idle = [] {});
  // Runs what there still is.
  ~Scheduler();
  Scheduler(const Scheduler&) = delete;
  Scheduler& operator=(const Scheduler&) = delete;

  // False, and the job is destroyed without an answer, if there are too many.
  bool Submit(std::unique_ptr<Job> job);

  // As Submit, but for more work of a call that has begun, which is never too
  // much.
  void SubmitMore(std::unique_ptr<Job> job);

  // Whether Submit would return false now.
  bool Full() const;

  // How long ago the thread last went from one round to the next, or looked
  // whether there was something to do, which it does each ten seconds.
  std::chrono::duration<double> SinceHeartbeat() const;

 private:
  struct Running {
    std::unique_ptr<Job> job;
    // Units of the step that have been given to a round.
    size_t next_unit = 0;
    bool began = false;
  };
  struct Caller {
    // Bytes the caller has had, or would have had if it had always wanted some.
    uint64_t served = 0;
    // Jobs with units that no round has, and those whose step has none left.
    std::list<Running> ready;
    std::list<Running> given;
  };
  struct Unit {
    Job* job = nullptr;
    size_t unit = 0;
  };

  void Loop();
  // Under the lock.
  void Push(std::unique_ptr<Job> job);
  void Accept(std::deque<std::unique_ptr<Job>> jobs);
  static void Place(Caller* caller, std::list<Running>* from,
                    std::list<Running>::iterator running);
  // The units of the next round, of about `most_bytes`, and their bytes.
  size_t PickRound(size_t most_bytes, std::vector<Unit>* round);
  // Gives units of the caller's next job to the round, and returns their bytes.
  static size_t TakeTurn(Caller* caller, size_t most_bytes,
                         std::vector<Unit>* round);
  void RunRound(const std::vector<Unit>& round, size_t bytes);
  // A round of the only job there is: longer, since nobody waits for its end,
  // and over as soon as somebody does.
  void RunAlone(const std::vector<Unit>& round, size_t bytes);
  // The only job takes back its last units.
  void TakeBack(size_t units);
  void Measure(size_t bytes, double seconds);
  // Takes out the jobs that are unwanted, and moves those on whose step has
  // run.
  void DropUnwanted();
  void FinishSteps();
  // Lets jobs answer that were taken out.
  void End(const std::list<Running>& over);

  const SchedulerOptions options_;
  const std::function<void(size_t)> on_jobs_;
  const std::function<void(size_t, double)> on_work_;
  const std::function<void()> on_idle_;

  mutable std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::unique_ptr<Job>> submitted_;
  size_t jobs_ = 0;
  bool stopping_ = false;
  // Somebody has come since the thread last looked.
  std::atomic<bool> called_ = false;

  // Of the thread.
  std::map<std::string, Caller> callers_;
  // Jobs of all callers.
  size_t running_ = 0;
  // What the caller had had that was served last.
  uint64_t served_ = 0;
  size_t round_bytes_;
  std::atomic<std::chrono::steady_clock::time_point> heartbeat_;
  std::thread thread_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_SCHEDULER_H_
