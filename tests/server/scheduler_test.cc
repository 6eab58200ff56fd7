// Jobs in rounds: order, fairness, what is dropped, what is refused.

#include "server/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <functional>
#include <future>
#include <memory>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace lossd {
namespace {

using ::testing::ElementsAre;

void IgnoreJobs(size_t /*jobs*/) {}
void IgnoreWork(size_t /*units*/, double /*seconds*/) {}

// Two units are a turn.
constexpr size_t kUnitBytes = size_t{64} << 10;

// Writes down what is called: "a0" is unit 0 of the job a, "a>" its next step,
// "a." its answer.
class TestJob final : public Job {
 public:
  // The first letter of `name` is the caller.
  TestJob(std::string name, std::vector<size_t> steps,
          std::vector<std::string>* log,
          std::function<void(size_t)> on_unit = nullptr)
      : name_(std::move(name)),
        caller_(name_.substr(0, 1)),
        steps_(std::move(steps)),
        log_(log),
        on_unit_(std::move(on_unit)) {}

  void set_unwanted(const std::atomic<bool>* unwanted) { unwanted_ = unwanted; }
  void set_unit_bytes(size_t bytes) { unit_bytes_ = bytes; }
  void set_on_answer(std::function<void()> on_answer) {
    on_answer_ = std::move(on_answer);
  }

  const std::string& caller() const override { return caller_; }
  size_t units() const override { return steps_[step_]; }
  size_t unit_bytes() const override { return unit_bytes_; }
  void RunUnit(size_t unit) override {
    log_->push_back(absl::StrCat(name_, unit));
    if (on_unit_) on_unit_(unit);
  }
  bool NextStep() override {
    log_->push_back(name_ + ">");
    return ++step_ < steps_.size();
  }
  bool Unwanted() override { return unwanted_ != nullptr && *unwanted_; }
  void Answer() override {
    log_->push_back(name_ + ".");
    if (on_answer_) on_answer_();
  }

 private:
  const std::string name_;
  const std::string caller_;
  const std::vector<size_t> steps_;
  size_t step_ = 0;
  std::vector<std::string>* const log_;
  const std::function<void(size_t)> on_unit_;
  const std::atomic<bool>* unwanted_ = nullptr;
  size_t unit_bytes_ = kUnitBytes;
  std::function<void()> on_answer_;
};

// One thread, so that units run in the order in which rounds take them, and
// rounds of `units`.
SchedulerOptions RoundsOf(size_t units) {
  return {.threads = 1,
          .max_jobs = 4,
          .min_round_bytes = units * kUnitBytes,
          .max_round_bytes = units * kUnitBytes};
}

// What happens when jobs are submitted while a job of the caller "_" runs.
std::vector<std::string> LogOf(
    size_t round_units,
    const std::function<void(Scheduler&, std::vector<std::string>*)>& submit) {
  std::vector<std::string> log;
  std::vector<std::string> unused;
  {
    std::promise<void> started;
    std::promise<void> submitted;
    Scheduler scheduler(RoundsOf(round_units), IgnoreJobs, IgnoreWork);
    scheduler.Submit(std::make_unique<TestJob>("_", std::vector<size_t>{1},
                                               &unused, [&](size_t) {
                                                 started.set_value();
                                                 submitted.get_future().wait();
                                               }));
    started.get_future().wait();
    submit(scheduler, &log);
    submitted.set_value();
  }
  return log;
}

TEST(SchedulerTest, StepsFollowEachOther) {
  const auto log = LogOf(8, [](Scheduler& scheduler, auto* events) {
    EXPECT_TRUE(scheduler.Submit(
        std::make_unique<TestJob>("a", std::vector<size_t>{2, 0, 1}, events)));
  });
  EXPECT_THAT(log, ElementsAre("a0", "a1", "a>", "a>", "a0", "a>", "a."));
}

TEST(SchedulerTest, CallersTakeTurns) {
  const auto log = LogOf(6, [](Scheduler& scheduler, auto* events) {
    scheduler.Submit(
        std::make_unique<TestJob>("a", std::vector<size_t>{9}, events));
    scheduler.Submit(
        std::make_unique<TestJob>("b", std::vector<size_t>{3}, events));
  });
  EXPECT_THAT(log, ElementsAre("a0", "a1", "b0", "b1", "a2", "a3",  // a round
                               "b2", "a4", "a5", "a6", "a7", "a8",  // a round
                               "a>", "b>", "a.", "b."));
}

TEST(SchedulerTest, JobsOfACallerTakeTurns) {
  const auto log = LogOf(4, [](Scheduler& scheduler, auto* events) {
    scheduler.Submit(
        std::make_unique<TestJob>("a", std::vector<size_t>{4}, events));
    scheduler.Submit(
        std::make_unique<TestJob>("ab", std::vector<size_t>{2}, events));
    // Neither has two jobs more bytes than one.
    scheduler.Submit(
        std::make_unique<TestJob>("b", std::vector<size_t>{4}, events));
  });
  EXPECT_THAT(log, ElementsAre("a0", "a1", "b0", "b1",    // a round
                               "ab0", "ab1", "b2", "b3",  // a round
                               "ab>", "b>", "ab.", "b.",  //
                               "a2", "a3", "a>", "a."));
}

// The large job began first and has all the rounds it wants.
TEST(SchedulerTest, ASmallJobWaitsForARoundOnly) {
  std::vector<std::string> log;
  {
    Scheduler scheduler(RoundsOf(4), IgnoreJobs, IgnoreWork);
    scheduler.Submit(std::make_unique<TestJob>(
        "a", std::vector<size_t>{100}, &log, [&](size_t unit) {
          if (unit != 10) return;
          scheduler.Submit(
              std::make_unique<TestJob>("b", std::vector<size_t>{1}, &log));
        }));
  }
  ASSERT_EQ(log.size(), 105U);
  // Units 8 to 11 are one round.
  EXPECT_EQ(std::ranges::find(log, "b0") - log.begin(), 12);
  EXPECT_LT(std::ranges::find(log, "b."), std::ranges::find(log, "a16"));
}

// Who comes late does not get what he has not asked for before.
TEST(SchedulerTest, NobodyIsStarvedByWhoComesLate) {
  std::vector<std::string> log;
  {
    Scheduler scheduler(RoundsOf(4), IgnoreJobs, IgnoreWork);
    scheduler.Submit(std::make_unique<TestJob>(
        "a", std::vector<size_t>{100}, &log, [&](size_t unit) {
          if (unit != 50) return;
          scheduler.Submit(
              std::make_unique<TestJob>("b", std::vector<size_t>{100}, &log));
        }));
  }
  // From then on they alternate.
  const auto b0 = std::ranges::find(log, "b0");
  EXPECT_EQ(
      std::count_if(b0, b0 + 80,
                    [](const std::string& event) { return event[0] == 'a'; }),
      40);
}

// Who was there, but wanted little, does not either.
TEST(SchedulerTest, NobodySavesUpWhatHeDoesNotUse) {
  std::vector<size_t> steps(20, 1);
  steps.push_back(100);
  const auto log = LogOf(4, [&](Scheduler& scheduler, auto* events) {
    scheduler.Submit(
        std::make_unique<TestJob>("a", std::vector<size_t>{200}, events));
    scheduler.Submit(std::make_unique<TestJob>("b", steps, events));
  });
  const auto b0 = std::ranges::find(log, "b1") - 1;
  ASSERT_EQ(*b0, "b0");
  EXPECT_EQ(
      std::count_if(b0, b0 + 80,
                    [](const std::string& event) { return event[0] == 'a'; }),
      40);
}

// A unit may be more than a turn. The others get as much, whether it was the
// last of its job or not.
TEST(SchedulerTest, WhoComesBackHasNotForgottenWhatHeHad) {
  constexpr size_t kUnits = 8;
  const auto log = LogOf(2, [](Scheduler& scheduler, auto* events) {
    const auto large = [events](const std::string& name) {
      auto job =
          std::make_unique<TestJob>(name, std::vector<size_t>{1}, events);
      job->set_unit_bytes(kUnits * kUnitBytes);
      return job;
    };
    auto first = large("b");
    first->set_on_answer([=, &scheduler] { scheduler.Submit(large("b")); });
    scheduler.Submit(std::move(first));
    scheduler.Submit(
        std::make_unique<TestJob>("c", std::vector<size_t>{20}, events));
  });
  std::vector<std::string> expected = {"b0", "b>", "b."};
  for (size_t i = 0; i < kUnits; ++i) expected.push_back(absl::StrCat("c", i));
  expected.push_back("b0");
  ASSERT_GE(log.size(), expected.size());
  EXPECT_TRUE(
      std::ranges::equal(std::span(log).first(expected.size()), expected))
      << absl::StrJoin(log, " ");
}

// Counts how often each unit runs.
class CountedJob final : public Job {
 public:
  CountedJob(std::string caller, std::vector<std::atomic<int>>* runs,
             std::function<void()> on_unit)
      : caller_(std::move(caller)), runs_(runs), on_unit_(std::move(on_unit)) {}

  const std::string& caller() const override { return caller_; }
  size_t units() const override { return runs_->size(); }
  size_t unit_bytes() const override { return kUnitBytes; }
  void RunUnit(size_t unit) override {
    ++(*runs_)[unit];
    on_unit_();
  }
  bool NextStep() override { return false; }
  bool Unwanted() override { return false; }
  void Answer() override {}

 private:
  const std::string caller_;
  std::vector<std::atomic<int>>* const runs_;
  const std::function<void()> on_unit_;
};

TEST(SchedulerTest, AJobThatIsAloneMakesWayForAnother) {
  constexpr size_t kRound = 16;
  // Three rounds' worth, which it would do at once.
  std::vector<std::atomic<int>> alone(100);
  std::vector<std::atomic<int>> other(1);
  int before_other = 0;
  {
    std::promise<void> submitted;
    std::atomic<bool> submitting = false;
    SchedulerOptions options = RoundsOf(kRound);
    options.threads = 2;
    Scheduler scheduler(options, IgnoreJobs, IgnoreWork);
    const std::shared_future<void> is_submitted =
        submitted.get_future().share();
    scheduler.Submit(std::make_unique<CountedJob>("a", &alone, [&] {
      if (!submitting.exchange(true)) {
        scheduler.Submit(std::make_unique<CountedJob>("b", &other, [&] {
          for (const auto& runs : alone) before_other += runs;
        }));
        submitted.set_value();
      }
      is_submitted.wait();
    }));
  }
  // Four units that each thread has begun, and the round that they share.
  EXPECT_LE(before_other, 2 * 4 + static_cast<int>(kRound));
  for (const auto& runs : alone) EXPECT_EQ(runs, 1);
  EXPECT_EQ(other[0], 1);
}

TEST(SchedulerTest, WhatIsUnwantedIsDroppedBetweenRounds) {
  std::vector<std::string> log;
  std::atomic<bool> unwanted = false;
  {
    Scheduler scheduler(RoundsOf(4), IgnoreJobs, IgnoreWork);
    auto job = std::make_unique<TestJob>("a", std::vector<size_t>{100}, &log,
                                         [&](size_t unit) {
                                           if (unit == 5) unwanted = true;
                                         });
    job->set_unwanted(&unwanted);
    scheduler.Submit(std::move(job));
  }
  EXPECT_THAT(
      log, ElementsAre("a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7", "a."));
}

TEST(SchedulerTest, WhatIsUnwantedFromTheStartIsNotRun) {
  const std::atomic<bool> unwanted = true;
  const auto log = LogOf(4, [&](Scheduler& scheduler, auto* events) {
    auto job = std::make_unique<TestJob>("a", std::vector<size_t>{1}, events);
    job->set_unwanted(&unwanted);
    scheduler.Submit(std::move(job));
  });
  EXPECT_THAT(log, ElementsAre("a."));
}

TEST(SchedulerTest, RefusesWhatItHasNoRoomFor) {
  const auto log = LogOf(4, [](Scheduler& scheduler, auto* events) {
    for (const char* name : {"a", "b", "c"}) {
      EXPECT_FALSE(scheduler.Full());
      EXPECT_TRUE(scheduler.Submit(
          std::make_unique<TestJob>(name, std::vector<size_t>{1}, events)));
    }
    EXPECT_TRUE(scheduler.Full());
    EXPECT_FALSE(scheduler.Submit(
        std::make_unique<TestJob>("d", std::vector<size_t>{1}, events)));
  });
  EXPECT_THAT(
      log, ElementsAre("a0", "b0", "c0", "a>", "b>", "c>", "a.", "b.", "c."));
}

TEST(SchedulerTest, MoreOfWhatHasBegunIsNeverRefused) {
  const auto log = LogOf(4, [](Scheduler& scheduler, auto* events) {
    for (const char* name : {"a", "b", "c"}) {
      EXPECT_TRUE(scheduler.Submit(
          std::make_unique<TestJob>(name, std::vector<size_t>{1}, events)));
    }
    ASSERT_TRUE(scheduler.Full());
    scheduler.SubmitMore(
        std::make_unique<TestJob>("d", std::vector<size_t>{1}, events));
    EXPECT_TRUE(scheduler.Full());
  });
  EXPECT_THAT(log, ElementsAre("a0", "b0", "c0", "d0", "a>", "b>", "c>", "d>",
                               "a.", "b.", "c.", "d."));
}

TEST(SchedulerTest, TellsHowManyJobsThereAre) {
  std::vector<size_t> counts;
  std::vector<std::string> log;
  std::promise<void> submitted;
  {
    Scheduler scheduler(
        RoundsOf(4), [&](size_t jobs) { counts.push_back(jobs); }, IgnoreWork);
    scheduler.Submit(std::make_unique<TestJob>(
        "a", std::vector<size_t>{1}, &log,
        [&](size_t) { submitted.get_future().wait(); }));
    scheduler.Submit(
        std::make_unique<TestJob>("b", std::vector<size_t>{5}, &log));
    submitted.set_value();
  }
  EXPECT_THAT(counts, ElementsAre(1, 2, 1, 0));
}

TEST(SchedulerTest, ManyThreadsSubmit) {
  constexpr size_t kJobs = 500;
  constexpr size_t kThreads = 4;
  std::atomic<int> units = 0;
  // Each is written by one thread at a time: one unit a step.
  std::vector<std::vector<std::string>> logs(kThreads * kJobs);
  {
    Scheduler scheduler({.threads = 2, .max_jobs = logs.size()}, IgnoreJobs,
                        IgnoreWork);
    std::vector<std::thread> threads;
    for (size_t t = 0; t < kThreads; ++t) {
      threads.emplace_back([&, t] {
        for (size_t i = 0; i < kJobs; ++i) {
          EXPECT_TRUE(scheduler.Submit(std::make_unique<TestJob>(
              absl::StrCat(t), std::vector<size_t>{1, 1}, &logs[t * kJobs + i],
              [&units](size_t) { ++units; })));
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
  EXPECT_EQ(units, 2 * logs.size());
  for (const std::vector<std::string>& log : logs) ASSERT_EQ(log.size(), 5U);
}

}  // namespace
}  // namespace lossd
