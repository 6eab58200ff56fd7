#include "tests/support/accuracy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <variant>

namespace lossd::test {
namespace {

// Relative spacing of numbers just above a power of two.
Number Epsilon(Dtype dtype) {
  return dtype == Dtype::kFloat32 ? 0x1p-23L : 0x1p-52L;
}

// What the loss is computed in.
Dtype Arithmetic(const LossCase& loss_case, Dtype dtype) {
  return ResolvedKernel(loss_case.params).traits.double_only ? Dtype::kFloat64
                                                             : dtype;
}

Number LossTolerance(const LossCase& loss_case, size_t columns, Dtype dtype,
                     const ReferenceRow& row) {
  if (Arithmetic(loss_case, dtype) == Dtype::kFloat64) {
    const Number additions = 4 + static_cast<Number>(columns) / 16;
    return (loss_case.loss_ulp + additions) * 0x1p-52L * row.scale;
  }
  const Number size = IsRowwise(loss_case) ? std::abs(row.loss) : row.scale;
  return columns == 1 ? loss_case.loss_ulp * Ulp(dtype, size)
                      : loss_case.loss_ulp * Epsilon(dtype) * size;
}

double TargetOf(const Problem& problem, size_t element) {
  return problem.targets.size() == problem.predictions.size()
             ? problem.targets[element]
             : 0;
}

Number LargestOf(std::span<const Number> numbers) {
  Number largest = 0;
  for (const Number number : numbers) {
    largest = std::max(largest, std::abs(number));
  }
  return largest;
}

// Largest term of the slopes of a row: softmax and target of a class may
// cancel, except in one-hot rows, where neither is subtracted from the other.
Number RowScale(const Problem& problem, size_t row,
                std::span<const Number> slopes) {
  if (problem.reference) return LargestOf(slopes);
  return LargestOf(slopes) + (IsOneHot(problem, row)
                                  ? 0
                                  : LargestOf(EffectiveTargets(problem, row)));
}

}  // namespace

std::vector<Number> SlopeScales(const LossCase& loss_case,
                                const Problem& problem,
                                std::span<const Number> slopes,
                                const std::string& extra) {
  const size_t columns = problem.columns();
  const bool rowwise = IsRowwise(loss_case);
  std::vector<Number> scales;
  for (size_t i = 0; i < slopes.size(); ++i) {
    if (rowwise) {
      const bool first = i % columns == 0;
      scales.push_back(
          first ? RowScale(problem, i / columns, slopes.subspan(i, columns))
                : scales.back());
      if (first && loss_case.slope_scale_of_row) {
        scales[i] = std::max<Number>(
            scales[i],
            loss_case.slope_scale_of_row(problem, extra, i / columns));
      }
    } else {
      scales.push_back(std::abs(slopes[i]));
    }
    if (loss_case.slope_scale_at) {
      scales[i] = std::max<Number>(scales[i],
                                   loss_case.slope_scale_at(problem, extra, i));
    }
    if (rowwise || !loss_case.slope_scale || !extra.empty()) continue;
    const double larger_term =
        loss_case.slope_scale(problem.predictions[i], TargetOf(problem, i));
    scales[i] =
        std::max<Number>(scales[i], larger_term / static_cast<double>(columns));
  }
  return scales;
}

namespace {

double LengthOf(const LossCase& loss_case, const Problem& problem, size_t i,
                const std::string& extra = "") {
  if (!extra.empty()) {
    return loss_case.extra_length_at
               ? loss_case.extra_length_at(problem, extra, i)
               : 1;
  }
  if (loss_case.length_at) return loss_case.length_at(problem, i);
  return loss_case.length
             ? loss_case.length(problem.predictions[i], TargetOf(problem, i))
             : 1;
}

}  // namespace

Number Ulp(Dtype dtype, Number number) {
  const int digits = dtype == Dtype::kFloat32 ? 24 : 53;
  const int smallest = dtype == Dtype::kFloat32 ? -149 : -1074;
  if (number == 0) return std::ldexp(1.0L, smallest);
  return std::ldexp(1.0L, std::max(std::ilogb(number) - digits + 1, smallest));
}

void ExpectLosses(const LossCase& loss_case, const Problem& problem,
                  Dtype dtype, const Answer& answer) {
  const Reference reference = ComputeReference(problem);
  const LossResult& result = answer.result;
  EXPECT_EQ(result.row_count, reference.row_count);
  EXPECT_EQ(result.masked_count, reference.masked_count);
  EXPECT_EQ(result.ignored_count, reference.ignored_count);

  // Sums of n numbers in 16 lanes.
  const Number summing =
      (8 + static_cast<Number>(problem.rows()) / 16) * 0x1p-52L;
  Number sum_tolerance = 0;
  for (size_t row = 0; row < problem.rows(); ++row) {
    const ReferenceRow& expected = reference.rows[row];
    const Number tolerance =
        LossTolerance(loss_case, problem.columns(), dtype, expected);
    sum_tolerance += tolerance + summing * std::abs(expected.loss);
    if (answer.row_losses.empty()) continue;
    ASSERT_LE(std::abs(answer.row_losses[row] - expected.loss), tolerance)
        << "row " << row << " of " << problem.rows() << " x "
        << problem.columns() << ": " << answer.row_losses[row] << " instead of "
        << expected.loss << ", "
        << (answer.row_losses[row] - expected.loss) /
               (Epsilon(dtype) * std::abs(expected.loss))
        << " units of relative spacing";
  }
  EXPECT_LE(std::abs(result.loss_sum - reference.loss_sum), sum_tolerance);
  Number weights = 0;
  for (const double weight : problem.sample_weights)
    weights += std::abs(weight);
  for (const double weight : problem.class_weights) {
    weights = std::max<Number>(
        weights,
        static_cast<Number>(problem.rows() * problem.columns()) * weight * 2);
  }
  EXPECT_LE(std::abs(result.weight_sum - reference.weight_sum),
            weights * summing);
  EXPECT_LE(std::abs(result.normalizer - reference.normalizer),
            weights * summing);
  if (problem.spec.reduction == Reduction::kNone) {
    EXPECT_TRUE(std::isnan(result.loss)) << result.loss;
    return;
  }
  const Number divided =
      reference.normalizer == 0 ? 0 : sum_tolerance / reference.normalizer;
  EXPECT_LE(std::abs(result.loss - reference.loss),
            divided + (summing * 2 * std::abs(reference.loss)))
      << result.loss << " instead of " << reference.loss;
}

std::vector<double> Steps(const LossCase& loss_case, const Problem& problem,
                          const std::string& extra) {
  std::vector<double> steps;
  for (size_t i = 0; i < problem.predictions.size(); ++i) {
    // A power of two, so that a double and a step add up without rounding.
    const double length = LengthOf(loss_case, problem, i, extra);
    steps.push_back(std::exp2(std::logb(length) - 12));
  }
  return steps;
}

namespace {

bool IsNearKink(const LossCase& loss_case, const Problem& problem, size_t i,
                double distance) {
  if (loss_case.kink_distance_at) {
    return loss_case.kink_distance_at(problem, i) <= distance;
  }
  return loss_case.kink_distance &&
         loss_case.kink_distance(problem.predictions[i],
                                 TargetOf(problem, i)) <= distance;
}

// Of one input: the predictions, or the extra that is named.
void ExpectGradientOf(const LossCase& loss_case, const Problem& problem,
                      const Reference& reference, const std::string& extra,
                      const std::vector<double>& gradient) {
  SCOPED_TRACE(extra);
  const std::vector<double> steps = Steps(loss_case, problem, extra);
  const std::vector<Number> slopes = CentralDifferences(problem, steps, extra);
  const std::vector<Number> scales =
      SlopeScales(loss_case, problem, slopes, extra);
  const size_t columns = problem.columns();
  ASSERT_EQ(gradient.size(), slopes.size());
  size_t skipped = 0;
  for (size_t i = 0; i < slopes.size(); ++i) {
    const Number factor = reference.gradient_factors[i / columns];
    if (factor == 0) {
      ASSERT_TRUE(gradient[i] == 0 && !std::signbit(gradient[i]))
          << "element " << i << " does not count: " << gradient[i];
      continue;
    }
    if (IsNearKink(loss_case, problem, i, 3 * steps[i])) {
      ++skipped;
      continue;
    }
    const Number length = LengthOf(loss_case, problem, i, extra);
    // The loss of the row stands for that of the element, which it contains.
    const Number tolerance =
        1e-12L * scales[i] +
        2e-15L * (reference.rows[i / columns].scale / length);
    ASSERT_LE(std::abs(gradient[i] - slopes[i] * factor),
              tolerance * std::abs(factor))
        << "element " << i << ": " << gradient[i] << " instead of "
        << slopes[i] * factor;
  }
  EXPECT_LE(skipped, 1 + slopes.size() / 20) << "too close to kinks";
}

void ExpectFloatGradientOf(const LossCase& loss_case, const Problem& problem,
                           const Reference& reference, const std::string& extra,
                           const std::vector<double>& gradient,
                           const std::vector<double>& in_double) {
  SCOPED_TRACE(extra);
  const size_t columns = problem.columns();
  std::vector<Number> slopes;
  for (size_t i = 0; i < in_double.size(); ++i) {
    const Number factor = reference.gradient_factors[i / columns];
    slopes.push_back(factor == 0 ? 0 : in_double[i] / factor);
  }
  const std::vector<Number> scales =
      SlopeScales(loss_case, problem, slopes, extra);
  ASSERT_EQ(gradient.size(), slopes.size());
  for (size_t i = 0; i < slopes.size(); ++i) {
    const Number expected = in_double[i];
    const Number scale =
        scales[i] * std::abs(reference.gradient_factors[i / columns]);
    const Number tolerance =
        IsRowwise(loss_case)
            ? 0x1p-23L *
                  std::max(loss_case.gradient_ulp * std::abs(expected), scale)
            : loss_case.gradient_ulp *
                  Ulp(Dtype::kFloat32, std::max(std::abs(expected), scale));
    ASSERT_LE(std::abs(gradient[i] - expected), tolerance)
        << "element " << i << " of " << problem.rows() << " x " << columns
        << ": " << gradient[i] << " instead of " << expected << ", "
        << (gradient[i] - expected) / Ulp(Dtype::kFloat32, expected) << " ulp";
  }
}

}  // namespace

void ExpectGradient(const LossCase& loss_case, const Problem& problem,
                    const Answer& answer) {
  const Reference reference = ComputeReference(problem);
  ExpectGradientOf(loss_case, problem, reference, "", answer.gradient);
  for (const auto& [extra, gradient] : answer.extra_gradients) {
    ExpectGradientOf(loss_case, problem, reference, extra, gradient);
  }
}

void ExpectFloatGradient(const LossCase& loss_case, const Problem& problem,
                         const Answer& answer, const Answer& in_double) {
  const Reference reference = ComputeReference(problem);
  ExpectFloatGradientOf(loss_case, problem, reference, "", answer.gradient,
                        in_double.gradient);
  for (const auto& [extra, gradient] : answer.extra_gradients) {
    ExpectFloatGradientOf(loss_case, problem, reference, extra, gradient,
                          in_double.extra_gradients.at(extra));
  }
}

}  // namespace lossd::test
