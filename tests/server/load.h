#ifndef LOSSD_TESTS_SERVER_LOAD_H_
#define LOSSD_TESTS_SERVER_LOAD_H_

#include <atomic>
#include <string>
#include <thread>
#include <vector>

namespace lossd {

// Callers that send one Compute after the other, 256 KiB there and back, until
// one is refused. Fails the test for replies without a gradient, and for
// refusals that are not those of a server that shuts down.
class Load {
 public:
  explicit Load(const std::string& address);
  ~Load() { AwaitRefusals(); }
  Load(const Load&) = delete;
  Load& operator=(const Load&) = delete;

  void AwaitSuccesses(int count) const;
  // Until every caller has been refused.
  void AwaitRefusals();
  int successes() const { return successes_; }

 private:
  void Call(const std::string& address);

  std::atomic<int> successes_ = 0;
  std::vector<std::thread> callers_;
};

}  // namespace lossd

#endif  // LOSSD_TESTS_SERVER_LOAD_H_
