// Values and gradients on every compiled vector target that this CPU has. The
// names of the tests say which those are.

#include <algorithm>
#include <string>
#include <string_view>
#include <tuple>
#include <vector>

#include "gtest/gtest.h"
#include "hwy/highway.h"
#include "lib/core/numerics.h"
#include "tests/support/accuracy.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

std::vector<int64_t> Targets() { return hwy::SupportedAndGeneratedTargets(); }

bool Have(int64_t target) { return std::ranges::count(Targets(), target) > 0; }

// Makes the library use one target.
class ScopedTarget {
 public:
  explicit ScopedTarget(int64_t target) {
    hwy::SetSupportedTargetsForTest(target);
  }
  ~ScopedTarget() { hwy::SetSupportedTargetsForTest(0); }
  ScopedTarget(const ScopedTarget&) = delete;
  ScopedTarget& operator=(const ScopedTarget&) = delete;
};

// Shapes that end in left-over vectors of all sizes, and one of some blocks.
std::vector<std::vector<int64_t>> Shapes() {
  std::vector<std::vector<int64_t>> shapes = {{700, 13}};
  for (int64_t columns = 1; columns <= 34; ++columns) {
    shapes.push_back({3, columns});
  }
  return shapes;
}

Problem Batch(const LossCase& loss_case, const std::vector<int64_t>& shape,
              Dtype dtype) {
  Problem problem = Sample(loss_case, shape, dtype);
  AddWeights(problem, 2);
  AddMask(problem, 3);
  problem.mask[0] = 1;
  return problem;
}

using TargetAndCase = std::tuple<int64_t, LossCase>;

class SimdTargetTest : public testing::TestWithParam<TargetAndCase> {};

TEST_P(SimdTargetTest, AgreesWithTheReference) {
  const auto& [target, loss_case] = GetParam();
  const ScopedTarget scoped(target);
  ASSERT_EQ(std::string(SimdTarget()), hwy::TargetName(target));
  EXPECT_EQ(Reproducible(), target != HWY_SCALAR);
  for (const std::vector<int64_t>& shape : Shapes()) {
    SCOPED_TRACE(testing::PrintToString(shape));
    const Problem problem = Batch(loss_case, shape, Dtype::kFloat32);
    const absl::StatusOr<Answer> narrow =
        Solve(problem, {.dtype = Dtype::kFloat32});
    const absl::StatusOr<Answer> wide = Solve(problem);
    ASSERT_THAT(narrow, IsOk());
    ASSERT_THAT(wide, IsOk());
    ExpectLosses(loss_case, problem, Dtype::kFloat32, *narrow);
    ExpectLosses(loss_case, problem, Dtype::kFloat64, *wide);
    ExpectFloatGradient(loss_case, problem, *narrow, *wide);
    // Central differences of many elements, or in long rows, take long.
    if (problem.predictions.size() * problem.columns() < 100'000) {
      ExpectGradient(loss_case, problem, *wide);
    }
    if (HasFailure()) return;
  }
}

std::string TargetAndCaseName(
    const testing::TestParamInfo<TargetAndCase>& info) {
  return std::string(hwy::TargetName(std::get<0>(info.param))) + "_" +
         std::get<1>(info.param).name;
}

INSTANTIATE_TEST_SUITE_P(Targets, SimdTargetTest,
                         testing::Combine(testing::ValuesIn(Targets()),
                                          testing::ValuesIn(LossCases())),
                         TargetAndCaseName);

TEST(FusedTargetsTest, Avx2AndAvx3GiveTheSameBits) {
  if (!Have(HWY_AVX2) || !Have(HWY_AVX3)) {
    GTEST_SKIP() << "this CPU has no AVX-512";
  }
  for (const LossCase& row : LossCases()) {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
      for (const std::vector<int64_t>& shape : Shapes()) {
        const Problem problem = Batch(row, shape, dtype);
        const auto run_on = [&](int64_t target) {
          const ScopedTarget scoped(target);
          return Solve(problem, {.dtype = dtype});
        };
        const absl::StatusOr<Answer> avx2 = run_on(HWY_AVX2);
        const absl::StatusOr<Answer> avx3 = run_on(HWY_AVX3);
        ASSERT_THAT(avx2, IsOk());
        ASSERT_THAT(avx3, IsOk());
        EXPECT_TRUE(SameBits(*avx2, *avx3))
            << row.name << ", " << testing::PrintToString(shape);
      }
    }
  }
}

TEST(SimdTargetsTest, AreThoseOfTheDesign) {
  // A target without FMA beside SCALAR would give bits of its own.
  EXPECT_EQ(HWY_TARGETS & (HWY_SSSE3 | HWY_SSE4), 0);
  EXPECT_NE(HWY_TARGETS & HWY_SCALAR, 0);
  EXPECT_NE(HWY_TARGETS & HWY_AVX2, 0);
  // Left out where they would take minutes to compile.
#ifdef __SANITIZE_ADDRESS__
  EXPECT_EQ(HWY_TARGETS & HWY_AVX3, 0);
#else
  EXPECT_NE(HWY_TARGETS & HWY_AVX3, 0);
#endif
  const ScopedTarget best(0);
  EXPECT_EQ(std::string(SimdTarget()), hwy::TargetName(Targets().front()));
}

}  // namespace
}  // namespace lossd::test
