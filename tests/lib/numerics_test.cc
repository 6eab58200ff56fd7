// A bit of a result never changes without a new NumericsVersion.

#include "lib/core/numerics.h"

#include <fstream>
#include <map>
#include <string>

#include "gtest/gtest.h"
#include "nlohmann/json.hpp"
#include "tests/support/digest.h"
#include "tests/support/loss_cases.h"

namespace lossd::test {
namespace {

using Json = nlohmann::json;

constexpr char kFile[] = "tests/golden/digests.json";

const Json& Stored() {
  static const auto& stored = *[] {
    std::ifstream file(kFile);
    return new Json(Json::parse(file));
  }();
  return stored;
}

constexpr char kAdvice[] =
    "if results are meant to change, give lib/core/numerics.cc a new version "
    "and run print_digests > tests/golden/digests.json";

class NumericsTest : public testing::TestWithParam<LossCase> {};

TEST_P(NumericsTest, BitsAreThoseOfTheVersion) {
  if (!Reproducible()) GTEST_SKIP() << "bits of this CPU have no digest";
  const Json& digests = Stored().at("digests");
  ASSERT_TRUE(digests.contains(GetParam().name)) << kAdvice;
  EXPECT_EQ(DigestOf(GetParam()), digests.at(GetParam().name)) << kAdvice;
}

INSTANTIATE_TEST_SUITE_P(Losses, NumericsTest, testing::ValuesIn(LossCases()),
                         CaseName);

TEST(NumericsVersionTest, IsThatOfTheDigests) {
  const auto version = Stored().at("numerics_version").get<std::string>();
  EXPECT_EQ(std::string(NumericsVersion()),
            version + (Reproducible() ? "" : "-no-fma"));
  EXPECT_EQ(Stored().at("digests").size(), LossCases().size()) << kAdvice;
}

}  // namespace
}  // namespace lossd::test
