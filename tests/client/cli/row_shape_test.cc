#include "client/cli/row_shape.h"

#include <cstdint>
#include <vector>

#include "client/cli/options_reflection.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

const std::vector<int64_t> kShape = {2, 3, 4};

std::vector<int64_t> Rows(const std::string& loss, v1::Semantics semantics) {
  return RowShapeOf(*MakeLoss(loss), semantics, kShape);
}

TEST(RowShapeTest, MeansOfElementsAreElementsForPytorch) {
  EXPECT_THAT(Rows("mse", v1::SEMANTICS_STRICT), ElementsAre(2, 3));
  EXPECT_THAT(Rows("mse", v1::SEMANTICS_KERAS), ElementsAre(2, 3));
  EXPECT_THAT(Rows("mse", v1::SEMANTICS_PYTORCH), ElementsAre(2, 3, 4));
  for (const char* loss : {"cce", "kld", "cosine", "gaussian_kl"}) {
    EXPECT_THAT(Rows(loss, v1::SEMANTICS_PYTORCH), ElementsAre(2, 3)) << loss;
  }
}

TEST(RowShapeTest, TokensAreElementsUnlessTheyAreLogits) {
  v1::Loss loss = *MakeLoss("ppo");
  EXPECT_THAT(RowShapeOf(loss, v1::SEMANTICS_STRICT, kShape),
              ElementsAre(2, 3, 4));
  EXPECT_THAT(SetOption("prediction_kind", "LOGITS", &loss), IsOk());
  EXPECT_THAT(RowShapeOf(loss, v1::SEMANTICS_PYTORCH, kShape),
              ElementsAre(2, 3));
  EXPECT_THAT(Rows("dpo", v1::SEMANTICS_STRICT), ElementsAre(2, 3, 4));
}

TEST(RowShapeTest, OverlapsAreOfSamplesOrOfTheBatch) {
  EXPECT_THAT(Rows("dice", v1::SEMANTICS_STRICT), ElementsAre(2));
  EXPECT_THAT(Rows("dice", v1::SEMANTICS_KERAS), IsEmpty());
  v1::Loss loss = *MakeLoss("tversky");
  EXPECT_THAT(SetOption("scope", "SAMPLE", &loss), IsOk());
  EXPECT_THAT(RowShapeOf(loss, v1::SEMANTICS_KERAS, kShape), ElementsAre(2));
  EXPECT_THAT(RowShapeOf(loss, v1::SEMANTICS_KERAS, {}), IsEmpty());
}

}  // namespace
}  // namespace lossd::cli
