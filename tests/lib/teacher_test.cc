// Divergences between a teacher's and a student's logits: worked values, edges,
// refusals and semantics.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/core/violation.h"
#include "tests/support/problem.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

using Numbers = std::vector<double>;
using testing::AllOf;
using testing::HasSubstr;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Rows of three logits.
Problem Rows(LossParams params, Numbers student, Numbers teacher,
             Semantics semantics = Semantics::kStrict) {
  Problem problem;
  problem.spec.params = params;
  problem.spec.semantics = semantics;
  problem.shape = {static_cast<int64_t>(student.size() / 3), 3};
  problem.predictions = std::move(student);
  problem.targets = std::move(teacher);
  return problem;
}

const Numbers kStudent = {1, 2, 0.5, 0.1, -1.2, 3};
const Numbers kTeacher = {1, 0, -1, 0.5, 0.5, 2};

// Worked values are given to 15 digits or more.
void ExpectWorked(LossParams params, double loss, const Numbers& gradient) {
  const Answer answer = MustSolve(Rows(params, kStudent, kTeacher));
  EXPECT_NEAR(answer.result.loss, loss, 1e-12);
  ASSERT_EQ(answer.gradient.size(), gradient.size());
  for (size_t i = 0; i < gradient.size(); ++i) {
    EXPECT_NEAR(answer.gradient[i], gradient[i], 1e-12) << i;
  }
}

void ExpectRefused(const Problem& problem, const std::string& field,
                   const std::string& got, const std::string& allowed = "") {
  const absl::StatusOr<Answer> answer = Solve(problem);
  EXPECT_THAT(answer, Violates(field));
  EXPECT_THAT(std::string(answer.status().message()),
              AllOf(HasSubstr(got), HasSubstr(allowed)));
}

std::vector<LossParams> All() {
  return {DistillationDivergenceParams{},
          DistillationDivergenceParams{.reverse = true},
          JensenShannonDivergenceParams{}};
}

TEST(TeacherDivergenceTest, ValuesAreTheWorkedOnes) {
  ExpectWorked(
      DistillationDivergenceParams{.temperature = 2}, 0.485471854980291,
      {-0.21472442732680425, 0.17382837753487135, 0.04089604979193301,
       -0.07003925365220687, -0.1526565363411099, 0.22269578999331696});
  ExpectWorked(
      DistillationDivergenceParams{
          .temperature = 2, .temperature_squared = false, .reverse = true},
      0.10843914450285932,
      {-0.04751531009843415, 0.04191656337014144, 0.005598746728292713,
       -0.01975651454364455, -0.024977605885905255, 0.0447341204295498});
  ExpectWorked(
      JensenShannonDivergenceParams{.teacher_temperature = 2},
      0.09134973616470797,
      {-0.03024652419286035, 0.037551070605312035, -0.007304546412451679,
       -0.015483394292060883, -0.008298104777380503, 0.023781499069441374});
}

// torch.nn.functional.kl_div(batchmean, log_target) of log_softmax, and
// autograd.
TEST(TeacherDivergenceTest, ValuesAreThoseOfPytorchsKlDiv) {
  ExpectWorked(
      DistillationDivergenceParams{}, 0.38175313355849455,
      {-0.2170085290763364, 0.19190162407848235, 0.025106904997854014,
       -0.051429053093340116, -0.07013323069879908, 0.12156228379213924});
  ExpectWorked(
      DistillationDivergenceParams{.temperature = 3, .reverse = true},
      0.4744944384543059,
      {-0.19317286789754376, 0.16087189228493687, 0.03230097561260698,
       -0.07755287921091329, -0.14880179041385053, 0.2263546696247639});
  ExpectWorked(
      JensenShannonDivergenceParams{.beta = 0.25}, 0.06316153186342247,
      {-0.035816204084334016, 0.03237299111383225, 0.003443212970501763,
       -0.008290682843406236, -0.00671542104988411, 0.015006103893290346});
}

TEST(TeacherDivergenceTest, EqualLogitsAreExactlyNothing) {
  for (const LossParams& params : All()) {
    for (const double shift : {0.0, 8.0}) {
      Numbers shifted = kStudent;
      for (double& x : shifted) x += shift;
      const Answer answer = MustSolve(Rows(params, kStudent, shifted));
      // Shifting rounds 0.1 and -1.2.
      EXPECT_LE(std::abs(answer.result.loss), 1e-30);
      for (const double slope : answer.gradient) {
        EXPECT_LE(std::abs(slope), shift == 0 ? 0 : 1e-15);
      }
    }
  }
}

// By 60-digit arithmetic: the first logit is 2^-30 larger for the teacher. A
// slope is off by the rounding of logarithms of about 2, 4e-16.
TEST(TeacherDivergenceTest, NearlyEqualLogitsKeepTheirDigits) {
  const Numbers student = {1, 2, 0.5};
  const Numbers teacher = {1 + 0x1p-30, 2, 0.5};
  const auto loss = [&](const LossParams& params) {
    return MustSolve(Rows(params, student, teacher)).result.loss;
  };
  EXPECT_NEAR(loss(DistillationDivergenceParams{}) / 7.70908540345582e-20, 1,
              1e-6);
  EXPECT_NEAR(loss(DistillationDivergenceParams{.reverse = true}) /
                  7.709085402169342e-20,
              1, 1e-6);
  EXPECT_NEAR(loss(JensenShannonDivergenceParams{}) / 1.9272713507031453e-20, 1,
              1e-6);
  const Numbers gradient =
      MustSolve(Rows(DistillationDivergenceParams{}, student, teacher))
          .gradient;
  const Numbers expected = {-1.6555134843575512e-10, 1.3535055698051388e-10,
                            3.0200791455241236e-11};
  for (size_t k = 0; k < 3; ++k) EXPECT_NEAR(gradient[k], expected[k], 4e-16);
}

// By 60-digit arithmetic. With q the student, q_1 is 1 - 2e-21 and rounds to 1:
// its slope is not what is left of a difference of logarithms of 50.
TEST(TeacherDivergenceTest, AConfidentStudentsSlopesKeepTheirDigits) {
  const auto expect = [](const LossParams& params, const Numbers& slopes) {
    const Answer answer = MustSolve(Rows(params, {2, 50, 0.5}, {1, 0, -1}));
    for (size_t k = 0; k < 3; ++k) {
      // A logarithm of 50 is off by 2^-48, which is 1e-16 of it.
      EXPECT_NEAR(answer.gradient[k] / slopes[k], 1, 1e-14) << k;
    }
  };
  expect(DistillationDivergenceParams{.reverse = true},
         {-6.983304005430582e-20, 8.5255898920264905e-20,
          -1.5422858865959085e-20});
  expect(JensenShannonDivergenceParams{},
         {-3.3757488680232657e-20, 4.1210303263156833e-20,
          -7.4528145829241761e-21});
}

// Rows that span blocks: classes that are impossible for both change nothing.
TEST(TeacherDivergenceTest, ImpossibleClassesChangeNothing) {
  const size_t columns = kBlockElements + 17;
  const auto widen = [&](const Numbers& numbers) {
    Numbers wide(2 * columns, -kInfinity);
    for (size_t i = 0; i < 6; ++i) wide[i / 3 * columns + i % 3] = numbers[i];
    return wide;
  };
  for (const LossParams& params : All()) {
    const Answer expected = MustSolve(Rows(params, kStudent, kTeacher));
    Problem wide = Rows(params, widen(kStudent), widen(kTeacher));
    wide.shape = {2, static_cast<int64_t>(columns)};
    const Answer answer = MustSolve(wide);
    EXPECT_EQ(answer.result.loss, expected.result.loss);
    for (size_t i = 0; i < 2 * columns; ++i) {
      const size_t k = i % columns;
      ASSERT_EQ(answer.gradient[i],
                k < 3 ? expected.gradient[i / columns * 3 + k] : 0);
    }
  }
}

// What only the teacher, or only the student, has: {-inf, 0, 1} and {2, 0, 1}.
TEST(TeacherDivergenceTest, OneSidedClassesAreFineWhereTheLossIsFinite) {
  const Numbers without = {-kInfinity, 0, 1};
  const Numbers with = {2, 0, 1};
  const double e = std::exp(1);
  // Shares of the two classes in common.
  const double common = (1 + e) / (e * e + 1 + e);
  // KL(without || with) = -log of these, in either role.
  const Answer forward =
      MustSolve(Rows(DistillationDivergenceParams{}, with, without));
  EXPECT_NEAR(forward.result.loss, -std::log(common), 1e-15);
  EXPECT_NEAR(forward.gradient[0], 1 - common, 1e-15);
  const Answer reverse = MustSolve(
      Rows(DistillationDivergenceParams{.reverse = true}, without, with));
  EXPECT_NEAR(reverse.result.loss, -std::log(common), 1e-15);
  EXPECT_EQ(reverse.gradient[0], 0);
  // log 2 where nothing is in common.
  const Answer apart =
      MustSolve(Rows(JensenShannonDivergenceParams{},
                     {0, -kInfinity, -kInfinity}, {-kInfinity, 0, -kInfinity}));
  EXPECT_NEAR(apart.result.loss, std::log(2), 1e-15);
  for (const double slope : apart.gradient) EXPECT_EQ(slope, 0);
  // The same where the exponentials underflow.
  const Answer far = MustSolve(
      Rows(JensenShannonDivergenceParams{}, {2000, 0, 0}, {0, 2000, 0}));
  EXPECT_NEAR(far.result.loss, std::log(2), 1e-15);
}

TEST(TeacherDivergenceTest, InfiniteLossesAreRefused) {
  const Numbers without = {-kInfinity, 0, 1};
  // Also where the teacher's share is less than float64 can say.
  for (const double logit : {2.0, -2000.0}) {
    const Numbers with = {logit, 0, 1};
    ExpectRefused(Rows(DistillationDivergenceParams{}, without, with),
                  "predictions.data[0]", "-inf", "infinite");
    ExpectRefused(
        Rows(DistillationDivergenceParams{.reverse = true}, with, without),
        "targets.data[0]", "-inf", "infinite");
  }
  const Answer answer = MustSolve(Rows(DistillationDivergenceParams{}, without,
                                       {2, 0, 1}, Semantics::kPytorch));
  EXPECT_EQ(answer.result.loss, kInfinity);
}

TEST(TeacherDivergenceTest, NamesWhatIsNoLogit) {
  for (const LossParams& params : All()) {
    for (const double bad : {kNan, kInfinity}) {
      Problem problem = Rows(params, kStudent, kTeacher);
      problem.predictions[4] = bad;
      ExpectRefused(problem, "predictions.data[4]", NumberText(bad), "finite");
      problem = Rows(params, kStudent, kTeacher);
      problem.targets[5] = bad;
      ExpectRefused(problem, "targets.data[5]", NumberText(bad), "finite");
    }
    Problem problem = Rows(params, kStudent, kTeacher);
    std::fill_n(problem.targets.begin(), 3, -kInfinity);
    ExpectRefused(problem, "targets.data[0]", "-inf only", "possible");
  }
  // Finite logits whose quotient is not.
  ExpectRefused(Rows(DistillationDivergenceParams{.temperature = 1e-300},
                     {1e10, 0, 0}, {0, 0, 0}),
                "predictions.data[0]", "overflows");
}

TEST(TeacherDivergenceTest, OptionsAreRefusedByName) {
  const auto refuse = [](const LossParams& params, const std::string& field) {
    ExpectRefused(Rows(params, kStudent, kTeacher), field, "got 0", "");
  };
  refuse(DistillationDivergenceParams{.temperature = 0}, "options.temperature");
  refuse(JensenShannonDivergenceParams{.beta = 0}, "options.beta");
  refuse(JensenShannonDivergenceParams{.teacher_temperature = 0},
         "options.teacher_temperature");
  refuse(JensenShannonDivergenceParams{.student_temperature = 0},
         "options.student_temperature");
  ExpectRefused(
      Rows(JensenShannonDivergenceParams{.beta = 1}, kStudent, kTeacher),
      "options.beta", "got 1", "(0, 1)");
}

TEST(TeacherDivergenceTest, NanStaysInItsRow) {
  for (const LossParams& params : All()) {
    const Answer good = MustSolve(Rows(params, kStudent, kTeacher));
    for (const Semantics semantics : {Semantics::kPytorch, Semantics::kKeras}) {
      Problem problem = Rows(params, kStudent, kTeacher, semantics);
      problem.targets[1] = kNan;
      const Answer answer = MustSolve(problem);
      EXPECT_TRUE(std::isnan(answer.row_losses[0]));
      EXPECT_EQ(answer.row_losses[1], good.row_losses[1]);
      for (size_t i = 0; i < 6; ++i) {
        EXPECT_TRUE(i < 3 ? std::isnan(answer.gradient[i])
                          : answer.gradient[i] == good.gradient[i])
            << i;
      }
    }
  }
}

}  // namespace
}  // namespace lossd::test
