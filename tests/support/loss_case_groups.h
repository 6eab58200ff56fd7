// The parts of the table of losses under test, one function a group.

#ifndef LOSSD_TESTS_SUPPORT_LOSS_CASE_GROUPS_H_
#define LOSSD_TESTS_SUPPORT_LOSS_CASE_GROUPS_H_

#include <vector>

#include "tests/support/loss_cases.h"

namespace lossd::test {

void AddRegressionCases(std::vector<LossCase>& cases);
void AddFocalCases(std::vector<LossCase>& cases);
void AddMarginCases(std::vector<LossCase>& cases);
// cosine, cosine_embedding, triplet.
void AddSimilarityCases(std::vector<LossCase>& cases);
// dice, tversky.
void AddOverlapCases(std::vector<LossCase>& cases);
// categorical_focal, nll, and options of the cross-entropy family.
void AddClassCases(std::vector<LossCase>& cases);
void AddPolicyCases(std::vector<LossCase>& cases);
void AddTeacherCases(std::vector<LossCase>& cases);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_LOSS_CASE_GROUPS_H_
