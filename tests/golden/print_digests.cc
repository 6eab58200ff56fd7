// Prints what tests/golden/digests.json has to hold.

#include <iostream>

#include "lib/core/numerics.h"
#include "nlohmann/json.hpp"
#include "tests/support/digest.h"
#include "tests/support/loss_cases.h"

// Only memory that runs out throws. NOLINTNEXTLINE(bugprone-exception-escape)
int main() {
  nlohmann::json digests;
  for (const auto& loss_case : lossd::test::LossCases()) {
    digests[loss_case.name] = lossd::test::DigestOf(loss_case);
  }
  const nlohmann::json all = {
      {"numerics_version", std::string(lossd::NumericsVersion())},
      {"digests", digests}};
  std::cout << all.dump(1) << "\n";
}
