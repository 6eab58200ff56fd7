// Chance that follows from libFuzzer's seed.

#ifndef LOSSD_TESTS_FUZZ_RANDOM_H_
#define LOSSD_TESTS_FUZZ_RANDOM_H_

#include <cstddef>
#include <cstdint>
#include <random>

namespace lossd::fuzz {

class Random {
 public:
  explicit Random(uint32_t seed) : engine_(seed) {}

  // From 0 to `count` - 1.
  size_t Below(size_t count) { return engine_() % count; }

  bool OneIn(size_t count) { return Below(count) == 0; }

  template <class T, size_t kCount>
  const T& Of(const T (&choices)[kCount]) {
    return choices[Below(kCount)];
  }

 private:
  std::mt19937 engine_;
};

}  // namespace lossd::fuzz

#endif  // LOSSD_TESTS_FUZZ_RANDOM_H_
