// Tensors in pieces, as a network delivers them, give the bits of whole ones.

#include <limits>
#include <vector>

#include "gtest/gtest.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

class PiecesTest : public testing::TestWithParam<LossCase> {
 protected:
  // More than a block each: many rows, and a few long ones.
  static std::vector<std::vector<int64_t>> Shapes() {
    if (IsRowwise(GetParam())) return {{300, 37}, {2, 5001}};
    return {{9000}, {300, 37}};
  }
};

TEST_P(PiecesTest, AnyCutGivesTheSameBits) {
  for (const Dtype dtype :
       {Dtype::kFloat32, Dtype::kFloat64, Dtype::kBfloat16}) {
    for (const std::vector<int64_t>& shape : Shapes()) {
      Problem problem = Sample(GetParam(), shape, dtype);
      AddWeights(problem, 2);
      AddMask(problem, 3);
      Form form{.dtype = dtype, .diagnostics = true};
      const absl::StatusOr<Answer> whole = Solve(problem, form);
      // Some probabilities round to 1 as bfloat16.
      if (dtype != Dtype::kBfloat16) {
        ASSERT_THAT(whole, IsOk());
      }
      // Through elements, through rows and blocks, and nowhere.
      for (const size_t bytes : {size_t{3}, size_t{8212}, size_t{1} << 20}) {
        form.piece_bytes = bytes;
        const absl::StatusOr<Answer> answer = Solve(problem, form);
        ASSERT_EQ(answer.status(), whole.status());
        if (!whole.ok()) continue;
        EXPECT_TRUE(SameBits(*answer, *whole))
            << bytes << " bytes, " << testing::PrintToString(shape);
      }
    }
  }
}

// What is refused is named from the pieces.
TEST_P(PiecesTest, TheRefusedElementIsTheSame) {
  Problem problem = Sample(GetParam(), {60, 5}, Dtype::kFloat64);
  problem.predictions[271] = std::numeric_limits<double>::quiet_NaN();
  const absl::StatusOr<Answer> whole = Solve(problem);
  EXPECT_EQ(Solve(problem, {.piece_bytes = 13}).status(), whole.status());
}

INSTANTIATE_TEST_SUITE_P(Losses, PiecesTest, testing::ValuesIn(LossCases()),
                         CaseName);

}  // namespace
}  // namespace lossd::test
