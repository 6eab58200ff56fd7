// Random rows of predictions and targets of loss cases.

#ifndef LOSSD_TESTS_SUPPORT_ROW_SAMPLERS_H_
#define LOSSD_TESTS_SUPPORT_ROW_SAMPLERS_H_

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "tests/support/problem.h"
#include "tests/support/random.h"
#include "tests/support/samplers.h"

namespace lossd::test {

// Length of losses of probabilities.
inline double ToZero(double q, double) { return q; }

// Positive numbers that add up to 1, none below 1e-3 / columns.
inline void FillDistribution(Random& random, std::span<double> row) {
  double sum = 0;
  for (double& q : row) sum += q = random.LogUniform(1e-2, 1);
  for (double& q : row) q /= sum;
}

using FillRow = std::function<void(Random&, std::span<double>)>;

inline void FillOneHot(Random& random, std::span<double> row) {
  std::ranges::fill(row, 0);
  const auto size = static_cast<int64_t>(row.size());
  row[static_cast<size_t>(random.Below(size))] = 1;
}

inline void FillMultiHot(Random& random, std::span<double> row) {
  for (double& t : row) t = random.Chance(0.3) ? 1 : 0;
}

// A distribution with some zeros.
inline void FillSoft(Random& random, std::span<double> row) {
  FillDistribution(random, row);
  for (double& t : row) {
    if (random.Chance(0.2)) t = 0;
  }
}

inline void FillLogarithms(Random& random, std::span<double> row) {
  FillDistribution(random, row);
  for (double& q : row) q = std::log(q);
}

inline FillRow FillLogits(double deviation) {
  return [=](Random& random, std::span<double> row) {
    for (double& x : row) x = deviation * random.Normal();
  };
}

// Rows of predictions and of targets.
inline Sampler RowsOf(const FillRow& predictions, const FillRow& targets) {
  return [=](Random& random, Problem& problem) {
    const size_t columns = problem.columns();
    for (size_t row = 0; row < problem.rows(); ++row) {
      predictions(
          random,
          std::span(problem.predictions).subspan(row * columns, columns));
      targets(random,
              std::span(problem.targets).subspan(row * columns, columns));
    }
  };
}

inline constexpr int64_t kIgnored = -100;

// Rows of predictions and class labels, some of them `kIgnored`.
inline Sampler LabelsOf(const FillRow& predictions, double ignored = 0) {
  return [=](Random& random, Problem& problem) {
    RowsOf(predictions, [](Random&, std::span<double>) {})(random, problem);
    problem.targets.clear();
    const auto columns = static_cast<int64_t>(problem.columns());
    problem.labels.clear();
    for (size_t row = 0; row < problem.rows(); ++row) {
      problem.labels.push_back(random.Chance(ignored) ? kIgnored
                                                      : random.Below(columns));
    }
  };
}

// A number for each column, one of them 0 when that is allowed.
inline std::vector<double> ColumnWeights(const Problem& problem, bool zero) {
  std::vector<double> weights;
  for (size_t k = 0; k < problem.columns(); ++k) {
    weights.push_back(zero && k == 1 ? 0 : 0.5 + static_cast<double>(k % 3));
  }
  return weights;
}

inline Sampler WithClassWeights(const Sampler& sampler) {
  return [=](Random& random, Problem& problem) {
    sampler(random, problem);
    problem.class_weights = ColumnWeights(problem, true);
  };
}

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_ROW_SAMPLERS_H_
