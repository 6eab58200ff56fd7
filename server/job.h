// What the scheduler runs.

#ifndef LOSSD_SERVER_JOB_H_
#define LOSSD_SERVER_JOB_H_

#include <cstddef>
#include <string>

namespace lossd {

// The work of one request: steps, one after the other, of units that may run in
// any order and at the same time. All functions but RunUnit are called by one
// thread at a time.
class Job {
 public:
  virtual ~Job() = default;

  // Jobs of one caller share what the caller gets.
  virtual const std::string& caller() const = 0;

  // Of the current step: how many units it has, and what one of them reads and
  // writes in bytes, roughly.
  virtual size_t units() const = 0;
  virtual size_t unit_bytes() const = 0;

  // The scheduler is about to run the first unit.
  virtual void Begin() {}

  // Each unit of a step runs once. Must not throw.
  virtual void RunUnit(size_t unit) = 0;

  // Begins the next step when all units of one have run; false if there is
  // none. Must not throw.
  virtual bool NextStep() = 0;

  // Whether the answer is not wanted any more.
  virtual bool Unwanted() = 0;

  // Answers, whether all steps have run or not. Nothing else is called after
  // this.
  virtual void Answer() = 0;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_JOB_H_
