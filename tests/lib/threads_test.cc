// The same bits for any number of threads and any order of blocks.

#include <vector>

#include "gtest/gtest.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/reference_losses.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

class ThreadsTest : public testing::TestWithParam<LossCase> {
 protected:
  // Shapes of many blocks: many rows, and few long ones.
  static std::vector<std::vector<int64_t>> Shapes() {
    if (IsRowwise(GetParam())) return {{1000, 37}, {5, 5001}};
    return {{40000}, {1000, 37}, {3, 10007}};
  }
  static Problem Batch(const std::vector<int64_t>& shape, Dtype dtype) {
    Problem problem = Sample(GetParam(), shape, dtype);
    AddWeights(problem, 2);
    AddMask(problem, 3);
    problem.spec.reduction = Reduction::kWeightedMean;
    return problem;
  }
};

TEST_P(ThreadsTest, AnyNumberOfThreadsGivesTheSameBits) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    for (const std::vector<int64_t>& shape : Shapes()) {
      const Problem problem = Batch(shape, dtype);
      Form form{.dtype = dtype};
      const absl::StatusOr<Answer> alone = Solve(problem, form);
      ASSERT_THAT(alone, IsOk());
      for (const int threads : {2, 3, 7}) {
        form.threads = threads;
        const absl::StatusOr<Answer> answer = Solve(problem, form);
        ASSERT_THAT(answer, IsOk());
        EXPECT_TRUE(SameBits(*answer, *alone))
            << threads << " threads, " << testing::PrintToString(shape);
      }
    }
  }
}

TEST_P(ThreadsTest, AnyOrderOfBlocksGivesTheSameBits) {
  for (const std::vector<int64_t>& shape : Shapes()) {
    const Problem problem = Batch(shape, Dtype::kFloat32);
    const Form form{.dtype = Dtype::kFloat32};
    const absl::StatusOr<Answer> forward = Solve(problem, form);
    const absl::StatusOr<Answer> reversed =
        TestCall(problem, form).RunReversed();
    ASSERT_THAT(forward, IsOk());
    ASSERT_THAT(reversed, IsOk());
    EXPECT_TRUE(SameBits(*reversed, *forward)) << testing::PrintToString(shape);
  }
}

// Rows do not know their neighbours: what is sent in two calls has the gradient
// of one, and the row losses up to where blocks cut them.
TEST_P(ThreadsTest, RowsDoNotDependOnTheirBatch) {
  Problem problem = Batch({1000, 37}, Dtype::kFloat32);
  if (problem.rows() == 1) return;
  problem.spec.reduction = Reduction::kSum;
  const Form form{.dtype = Dtype::kFloat32};
  const absl::StatusOr<Answer> whole = Solve(problem, form);
  const absl::StatusOr<Answer> first = Solve(Rows(problem, 0, 617), form);
  const absl::StatusOr<Answer> second = Solve(Rows(problem, 617, 1000), form);
  ASSERT_THAT(whole, IsOk());
  ASSERT_THAT(first, IsOk());
  ASSERT_THAT(second, IsOk());
  const auto join = [](std::vector<double> a, const std::vector<double>& b) {
    a.insert(a.end(), b.begin(), b.end());
    return a;
  };
  EXPECT_EQ(join(first->gradient, second->gradient), whole->gradient);
  const std::vector<double> row_losses =
      join(first->row_losses, second->row_losses);
  const Reference reference = ComputeReference(problem);
  double terms = 0;
  for (size_t row = 0; row < row_losses.size(); ++row) {
    // What the terms amount to, where they cancel.
    const auto scale = static_cast<double>(reference.rows[row].scale);
    terms += scale;
    const double tolerance = IsRowwise(GetParam()) ? 0 : 1e-14 * scale;
    ASSERT_NEAR(row_losses[row], whole->row_losses[row], tolerance) << row;
  }
  EXPECT_NEAR(first->result.loss + second->result.loss, whole->result.loss,
              1e-12 * terms);
}

INSTANTIATE_TEST_SUITE_P(Losses, ThreadsTest, testing::ValuesIn(LossCases()),
                         CaseName);

}  // namespace
}  // namespace lossd::test
