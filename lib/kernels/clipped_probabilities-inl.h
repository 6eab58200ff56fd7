// Rows of probabilities as PyTorch and Keras compute them. See cross_entropy.h.

#if defined(LOSSD_LIB_KERNELS_CLIPPED_PROBABILITIES_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_CLIPPED_PROBABILITIES_INL_H_
#undef LOSSD_LIB_KERNELS_CLIPPED_PROBABILITIES_INL_H_
#else
#define LOSSD_LIB_KERNELS_CLIPPED_PROBABILITIES_INL_H_
#endif

#include <cmath>
#include <cstddef>

#include "hwy/highway.h"
#include "lib/kernels/cross_entropy.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/math-inl.h"
#include "lib/kernels/row_targets-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// What a probability q of a class with mass tau is to the loss.
struct ClippedClass {
  double loss = 0;
  double slope = 0;
  bool clipped = false;
};

// As torch.nn.BCELoss clamps; there is no cross-entropy of probabilities.
HWY_INLINE ClippedClass FlooredClass(double q, double tau, double log_tau,
                                     bool divergence) {
  constexpr double kLogFloor = -100;
  constexpr double kFloor = 1e-12;
  const double log = LogOrMinusInfinity(q);
  const bool floored = log < kLogFloor;
  const double surprisal = -(floored ? kLogFloor : log);
  return {tau == 0 ? 0 : tau * (surprisal + (divergence ? log_tau : 0)),
          -tau / (q < kFloor ? kFloor : q), floored};
}

HWY_INLINE bool FlooredRow(const CrossEntropyOptions& options,
                           const double* row, size_t columns,
                           const RowTarget<double>& target, double scale,
                           double* gradient, double* loss, int64_t* clipped) {
  ScalarLanes sum;
  for (size_t k = 0; k < columns; ++k) {
    const double log_tau = target.log_tau ? target.log_tau[k] : 0;
    const ClippedClass part =
        FlooredClass(row[k], target.tau[k], log_tau, options.divergence);
    sum.Add(part.loss, k);
    *clipped += part.clipped ? 1 : 0;
    if (gradient) gradient[k] = scale * part.slope;
  }
  *loss = sum.Sum();
  return true;
}

// Keras' Kullback-Leibler divergence: both sides are clipped to [epsilon, 1].
HWY_INLINE bool ClippedDivergenceRow(double epsilon, const double* row,
                                     size_t columns,
                                     const RowTarget<double>& target,
                                     double scale, double* gradient,
                                     double* loss, int64_t* clipped) {
  const auto clip = [epsilon](double number) {
    return number < epsilon ? epsilon : number > 1 ? 1 : number;
  };
  ScalarLanes sum;
  for (size_t k = 0; k < columns; ++k) {
    const double q = clip(row[k]);
    const double t = clip(target.tau[k]);
    sum.Add(t * (LogOrMinusInfinity(t) - LogOrMinusInfinity(q)), k);
    const bool inside = !(row[k] < epsilon || row[k] > 1);
    *clipped += inside ? 0 : 1;
    if (gradient) gradient[k] = inside ? -scale * t / q : 0;
  }
  *loss = sum.Sum();
  return true;
}

// Keras' cross-entropy: normalised, then clipped to [epsilon, 1 - epsilon].
HWY_INLINE bool ClippedRow(double epsilon, const double* row, size_t columns,
                           const RowTarget<double>& target, double scale,
                           double* gradient, double* loss, int64_t* clipped) {
  ScalarLanes all;
  for (size_t k = 0; k < columns; ++k) all.Add(row[k], k);
  const double total = all.Sum();
  const double high = 1 - epsilon;
  ScalarLanes sum;
  ScalarLanes free_mass;
  for (size_t k = 0; k < columns; ++k) {
    const double share = row[k] / total;
    const bool inside = !(share < epsilon || share > high);
    const double q = share < epsilon ? epsilon : share > high ? high : share;
    const double tau = target.tau[k];
    sum.Add(tau == 0 ? 0 : -tau * LogOrMinusInfinity(q), k);
    free_mass.Add(inside ? tau : 0, k);
    *clipped += inside ? 0 : 1;
    if (gradient) gradient[k] = inside && tau != 0 ? tau / row[k] : 0;
  }
  *loss = sum.Sum();
  if (!gradient) return true;
  const double common = free_mass.Sum() / total;
  for (size_t k = 0; k < columns; ++k) {
    gradient[k] = scale * (common - gradient[k]);
  }
  return true;
}

// T is double: see CrossEntropyOptions. Never refuses.
HWY_INLINE bool UncheckedProbabilitiesRow(const CrossEntropyOptions& options,
                                          const double* row, size_t columns,
                                          const RowTarget<double>& target,
                                          double scale, double* gradient,
                                          double* loss, int64_t* clipped) {
  if (options.semantics == Semantics::kPytorch) {
    return FlooredRow(options, row, columns, target, scale, gradient, loss,
                      clipped);
  }
  return options.divergence
             ? ClippedDivergenceRow(options.epsilon, row, columns, target,
                                    scale, gradient, loss, clipped)
             : ClippedRow(options.epsilon, row, columns, target, scale,
                          gradient, loss, clipped);
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_CLIPPED_PROBABILITIES_INL_H_
