// The parts of the table of losses under test, one function a group.

#ifndef LOSSD_TESTS_SUPPORT_LOSS_CASE_GROUPS_H_
#define LOSSD_TESTS_SUPPORT_LOSS_CASE_GROUPS_H_

#include <vector>

#include "tests/support/loss_cases.h"

namespace lossd::test {

void AddPolicyCases(std::vector<LossCase>& cases);
void AddTeacherCases(std::vector<LossCase>& cases);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_LOSS_CASE_GROUPS_H_
