// The table of losses under test covers the library.

#include "tests/support/loss_cases.h"

#include <algorithm>
#include <set>
#include <string>

#include "gtest/gtest.h"
#include "lib/losses/registry.h"

namespace lossd::test {
namespace {

TEST(LossCasesTest, EveryLossOfTheRegistryHasACase) {
  for (const auto& entry : AllLosses::kTable) {
    EXPECT_TRUE(std::ranges::any_of(LossCases(),
                                    [&](const LossCase& row) {
                                      return AllLosses::Find(row.params).name ==
                                             entry.name;
                                    }))
        << entry.name << " is not tested: add a case to tests/support";
  }
}

TEST(LossCasesTest, NamesAreUnique) {
  std::set<std::string> names;
  for (const LossCase& row : LossCases()) {
    EXPECT_TRUE(names.insert(row.name).second) << row.name;
  }
}

TEST(RegistryTest, NamesAreTheFullOnes) {
  std::set<std::string> names;
  for (const auto& entry : AllLosses::kTable) names.emplace(entry.name);
  const std::set<std::string> expected = {"mean_squared_error",
                                          "mean_squared_logarithmic_error",
                                          "mean_absolute_error",
                                          "huber",
                                          "binary_cross_entropy",
                                          "hinge",
                                          "categorical_cross_entropy",
                                          "sparse_categorical_cross_entropy",
                                          "kullback_leibler_divergence",
                                          "distillation_divergence",
                                          "jensen_shannon_divergence",
                                          "token_cross_entropy",
                                          "importance_sampling",
                                          "ppo",
                                          "cispo",
                                          "dro",
                                          "k3_divergence",
                                          "dpo"};
  EXPECT_EQ(names, expected);
}

}  // namespace
}  // namespace lossd::test
