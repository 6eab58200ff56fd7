#ifndef LOSSD_TESTS_SUPPORT_RANDOM_H_
#define LOSSD_TESTS_SUPPORT_RANDOM_H_

#include <cmath>
#include <cstdint>
#include <random>

namespace lossd::test {

// Random numbers that are the same with every standard library.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  // In [low, high).
  double Uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }
  // In [low, high), both > 0, all magnitudes alike.
  double LogUniform(double low, double high) {
    return std::exp(Uniform(std::log(low), std::log(high)));
  }
  // Near enough to the standard normal distribution.
  double Normal() {
    double sum = -6;
    for (int i = 0; i < 12; ++i) sum += Uniform(0, 1);
    return sum;
  }
  // In [0, count).
  int64_t Below(int64_t count) {
    return static_cast<int64_t>(engine_() % static_cast<uint64_t>(count));
  }
  bool Chance(double probability) { return Uniform(0, 1) < probability; }
  double Sign() { return Chance(0.5) ? 1 : -1; }

 private:
  std::mt19937_64 engine_;
};

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_RANDOM_H_
