// Values of every loss, at all sizes up to a few vectors and all alignments,
// against the reference.

#include <cstdint>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/accuracy.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

// Four times the 16 lanes of a sum, and what is left over.
constexpr int64_t kLargest = 4 * 16 + 3;

class ValueTest : public testing::TestWithParam<LossCase> {
 protected:
  static void Check(std::vector<int64_t> shape, const Form& form) {
    SCOPED_TRACE(testing::Message() << testing::PrintToString(shape) << " "
                                    << std::string(NameOf(form.dtype))
                                    << ", offset " << form.offset);
    const Problem problem = Sample(GetParam(), std::move(shape), form.dtype);
    const absl::StatusOr<Answer> answer = Solve(problem, form);
    if (problem.columns() == 0) {
      EXPECT_THAT(answer, Violates("predictions.shape"));
      return;
    }
    ASSERT_THAT(answer, IsOk());
    ExpectLosses(GetParam(), problem, form.dtype, *answer);
  }
};

TEST_P(ValueTest, EqualsTheReferenceForEveryNumberOfRows) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    for (int64_t rows = 0; rows <= kLargest; ++rows) {
      const int64_t columns = IsRowwise(GetParam()) ? 3 : 1;
      Check({rows, columns}, {.dtype = dtype});
      if (HasFailure()) return;
    }
  }
}

TEST_P(ValueTest, EqualsTheReferenceForEveryNumberOfColumns) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    for (int64_t columns = 1; columns <= kLargest; ++columns) {
      Check({3, columns}, {.dtype = dtype});
      if (HasFailure()) return;
    }
  }
}

TEST_P(ValueTest, EqualsTheReferenceForRowsLongerThanABlock) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    Check({3, static_cast<int64_t>(kBlockElements) + 1}, {.dtype = dtype});
    Check({2, 3 * static_cast<int64_t>(kBlockElements) - 5}, {.dtype = dtype});
  }
}

TEST_P(ValueTest, TakesAnyRank) {
  Check({2, 1, 3, 2, 1, 2, 1, 5}, {});
  Check({0, 4}, {});
  if (IsRowwise(GetParam())) return;
  Check({}, {});
  Check({7}, {});
}

TEST_P(ValueTest, IsTheSameAtEveryAlignment) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    for (const int64_t rows : {1, 5, 33}) {
      for (const int64_t columns : {2, 17, 33}) {
        Problem problem = Sample(GetParam(), {rows, columns}, dtype);
        AddWeights(problem, 2);
        AddMask(problem, 3);
        problem.mask[0] = 1;
        Form form{.dtype = dtype};
        const absl::StatusOr<Answer> aligned = Solve(problem, form);
        ASSERT_THAT(aligned, IsOk());
        for (form.offset = 1; form.offset < 8; ++form.offset) {
          const absl::StatusOr<Answer> answer = Solve(problem, form);
          ASSERT_THAT(answer, IsOk());
          EXPECT_TRUE(SameBits(*answer, *aligned))
              << rows << " x " << columns << ", offset " << form.offset;
        }
      }
    }
  }
}

TEST_P(ValueTest, IsTheSameWhateverElseIsWanted) {
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    // More than one block, and a weight in every row.
    Problem problem = Sample(GetParam(), {900, 11}, dtype);
    for (const bool weighted : {false, true}) {
      if (weighted) AddWeights(problem, 2);
      const absl::StatusOr<Answer> all = Solve(problem, {.dtype = dtype});
      ASSERT_THAT(all, IsOk());
      for (const bool gradient : {false, true}) {
        for (const bool row_losses : {false, true}) {
          const absl::StatusOr<Answer> answer = Solve(
              problem,
              {.dtype = dtype, .gradient = gradient, .row_losses = row_losses});
          ASSERT_THAT(answer, IsOk());
          EXPECT_TRUE(SameBits(*answer, *all));
          EXPECT_EQ(answer->gradient.empty(), !gradient);
          EXPECT_EQ(answer->row_losses.empty(), !row_losses);
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, ValueTest, testing::ValuesIn(LossCases()),
                         CaseName);

}  // namespace
}  // namespace lossd::test
