// Random predictions and targets of loss cases.

#ifndef LOSSD_TESTS_SUPPORT_SAMPLERS_H_
#define LOSSD_TESTS_SUPPORT_SAMPLERS_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>

#include "tests/support/problem.h"
#include "tests/support/random.h"

namespace lossd::test {

using Sampler = std::function<void(Random&, Problem&)>;
using Draw = std::function<double(Random&)>;

inline double Residual(double prediction, double target) {
  return std::abs(prediction - target);
}

// Length of losses that are polynomials of the residual: any length would do
// that is neither lost in the prediction nor drowns the residual.
inline double Size(double prediction, double target) {
  return std::max(std::abs(prediction), std::abs(target));
}

inline Draw Normal(double deviation) {
  return [=](Random& random) { return deviation * random.Normal(); };
}

inline Draw Uniform(double low, double high) {
  return [=](Random& random) { return random.Uniform(low, high); };
}

// Of either sign, with all magnitudes alike.
inline Draw SignedLogUniform(double low, double high) {
  return [=](Random& random) {
    return random.Sign() * random.LogUniform(low, high);
  };
}

inline double ZeroOrOne(Random& random) { return random.Chance(0.5) ? 1 : 0; }

// Every prediction and target by itself.
inline Sampler Elements(const Draw& prediction, const Draw& target) {
  return [=](Random& random, Problem& problem) {
    for (double& p : problem.predictions) p = prediction(random);
    for (double& t : problem.targets) t = target(random);
  };
}

// Targets next to their predictions, where differences lose digits.
inline Sampler NearlyEqual(const Draw& prediction) {
  return [=](Random& random, Problem& problem) {
    for (size_t i = 0; i < problem.predictions.size(); ++i) {
      const double p = prediction(random);
      problem.predictions[i] = p;
      problem.targets[i] = p * (1 + random.LogUniform(1e-6, 1e-3));
    }
  };
}

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_SAMPLERS_H_
