// How far results may be from the reference, and why.

#ifndef LOSSD_TESTS_SUPPORT_ACCURACY_H_
#define LOSSD_TESTS_SUPPORT_ACCURACY_H_

#include <span>
#include <string>
#include <vector>

#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/reference_losses.h"

namespace lossd::test {

// Distance of a float32 or float64 of this size to the next one.
Number Ulp(Dtype dtype, Number number);

// Expects counts, normalizer, loss and row losses to be those of the reference:
//
// float32, element-wise: the case's ulps; for rows of several elements as a
//     relative error, since the ulps of the elements vary by a factor of two.
// float32, row-wise: the same, of the loss.
// float64, and losses that are always computed in it: the case's ulps and one
//     for each addition on the way of an element through the 16 lanes,
//     relative to what the terms of the sum amount to.
void ExpectLosses(const LossCase& loss_case, const Problem& problem,
                  Dtype dtype, const Answer& answer);

// Distances at which to take central differences, one an element: of the
// predictions, or of the extra input that is named.
std::vector<double> Steps(const LossCase& loss_case, const Problem& problem,
                          const std::string& extra = "");

// What errors of slopes are relative to, one an element: the slope itself, the
// larger of the terms that cancel in it, or the largest of its row.
std::vector<Number> SlopeScales(const LossCase& loss_case,
                                const Problem& problem,
                                std::span<const Number> slopes,
                                const std::string& extra = "");

// Expects a float64 gradient, and those of extra inputs, to be that of the
// reference by central differences, except where they straddle a kink; and that
// those are few.
//
// The differences are off by 2^-48 of the derivative (a step is at most 2^-12
// of the length) and by 2^-51 of loss / length (long double has 64 digits);
// float64
// loses 2^-53 a few times in the larger of the terms of a slope, or of the
// slopes of a row.
void ExpectGradient(const LossCase& loss_case, const Problem& problem,
                    const Answer& answer);

// Expects a float32 gradient to be that of the float64 computation of the same
// numbers. Element-wise: within the case's ulps, of the larger term if two
// cancel. Row-wise: within these as a relative error, since a slope adds up
// exponentials whose ulps vary; or within 2 * 2^-24 of the largest term of the
// row, once for the rounding of a softmax and once for that of its difference
// to the target.
void ExpectFloatGradient(const LossCase& loss_case, const Problem& problem,
                         const Answer& answer, const Answer& in_double);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_ACCURACY_H_
