#include "server/selftest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "lib/losses/registry.h"
#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

std::string NameOf(const SelfTestCase& test) {
  return std::string(AllLosses::Find(test.params).name);
}

TEST(SelfTestTest, PassesHere) { EXPECT_THAT(RunSelfTest(), IsOk()); }

TEST(SelfTestTest, EveryLossOfTheRegistryHasACase) {
  for (const auto& loss : AllLosses::kTable) {
    std::vector<SelfTestCase> others;
    for (const SelfTestCase& test : SelfTestCases()) {
      if (NameOf(test) != loss.name) others.push_back(test);
    }
    EXPECT_LT(others.size(), SelfTestCases().size()) << loss.name;
    EXPECT_THAT(RunSelfTest(others),
                StatusIs(absl::StatusCode::kInternal,
                         HasSubstr(absl::StrCat("no case of ",
                                                std::string(loss.name)))));
  }
}

// Numbers of each case that are off by more than rounding: by 2e-6, at the
// least that the check in float32 has to see.
TEST(SelfTestTest, EveryNumberOfEveryCaseIsCompared) {
  const auto refused = [](const std::vector<SelfTestCase>& cases, size_t i,
                          const std::string& what) {
    EXPECT_THAT(RunSelfTest(cases), StatusIs(absl::StatusCode::kInternal,
                                             AllOf(HasSubstr(NameOf(cases[i])),
                                                   HasSubstr(what + " is "))));
  };
  std::vector<SelfTestCase> cases = SelfTestCases();
  for (size_t i = 0; i < cases.size(); ++i) {
    const SelfTestCase right = cases[i];
    cases[i].loss += 2e-6;
    refused(cases, i, "the loss");
    cases[i] = right;
    for (double& slope : cases[i].gradient) {
      // Gradients are compared after the division by the number of copies.
      slope += 2e-5;
      refused(cases, i, "the gradient");
      slope -= 2e-5;
    }
    cases[i] = right;
    for (SelfTestExtra& extra : cases[i].extras) {
      for (double& slope : extra.gradient) {
        slope += 2e-5;
        refused(cases, i, "the gradient of " + extra.name);
        slope -= 2e-5;
      }
    }
    cases[i] = right;
  }
}

TEST(SelfTestTest, CasesThatAreRefusedAreFailures) {
  std::vector<SelfTestCase> cases = SelfTestCases();
  cases[0].targets.pop_back();
  EXPECT_THAT(RunSelfTest(cases), StatusIs(absl::StatusCode::kInternal,
                                           HasSubstr(NameOf(cases[0]) + ": ")));
}

}  // namespace
}  // namespace lossd
