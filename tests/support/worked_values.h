// What tests of worked values have in common.

#ifndef LOSSD_TESTS_SUPPORT_WORKED_VALUES_H_
#define LOSSD_TESTS_SUPPORT_WORKED_VALUES_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {

inline constexpr double kInfinity = std::numeric_limits<double>::infinity();
inline constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
inline constexpr Semantics kEverySemantics[] = {
    Semantics::kStrict, Semantics::kPytorch, Semantics::kKeras};

inline Problem Elements(LossParams params, std::vector<double> predictions,
                        std::vector<double> targets,
                        std::vector<Extra> extras = {}) {
  Problem problem;
  problem.spec.params = params;
  problem.shape = {static_cast<int64_t>(predictions.size())};
  problem.predictions = std::move(predictions);
  problem.targets = std::move(targets);
  problem.extras = std::move(extras);
  return problem;
}

inline Problem Under(Semantics semantics, Problem problem) {
  problem.spec.semantics = semantics;
  return problem;
}

inline void ExpectNear(const std::vector<double>& got,
                       const std::vector<double>& expected,
                       double relative = 1e-12) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_NEAR(got[i], expected[i], relative * std::abs(expected[i])) << i;
  }
}

// 1e-12: the worked values have as many digits, float64 loses 1e-15.
inline void ExpectAnswer(const Problem& problem, double loss,
                         const std::vector<double>& gradient) {
  const Answer answer = MustSolve(problem);
  ExpectNear({answer.result.loss}, {loss});
  ExpectNear(answer.gradient, gradient);
}

inline double Figure(const Answer& answer, const std::string& name) {
  for (const Diagnostic& figure : answer.result.diagnostics) {
    if (figure.name == name) return figure.value;
  }
  ADD_FAILURE() << "no " << name;
  return kNan;
}

inline void ExpectRefused(const Problem& problem, const std::string& field,
                          const std::string& text, Form form = {}) {
  for (const bool gradient : {false, true}) {
    form.gradient = gradient;
    const absl::StatusOr<Answer> answer = Solve(problem, form);
    EXPECT_THAT(answer, Violates(field));
    EXPECT_THAT(std::string(answer.status().message()),
                testing::HasSubstr(text));
  }
}

// Expects numbers to be these within 1e-12, which is what a few hundred
// roundings of a double amount to at most.
inline void ExpectWorked(const std::vector<double>& got,
                         const std::vector<double>& expected) {
  ASSERT_EQ(got.size(), expected.size());
  for (size_t i = 0; i < got.size(); ++i) {
    EXPECT_LE(std::abs(got[i] - expected[i]),
              1e-12 * std::max(1.0, std::abs(expected[i])))
        << i << ": " << got[i] << " instead of " << expected[i];
  }
}

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_WORKED_VALUES_H_
