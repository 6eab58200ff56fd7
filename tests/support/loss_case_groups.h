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
// categorical_focal, nll.
void AddClassCases(std::vector<LossCase>& cases);
void AddPolicyCases(std::vector<LossCase>& cases);
void AddTeacherCases(std::vector<LossCase>& cases);
// Options of the cross-entropy family that loss_cases.cc leaves out.
void AddSoftmaxOptionCases(std::vector<LossCase>& cases);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_LOSS_CASE_GROUPS_H_
