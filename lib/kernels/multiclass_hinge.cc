#include "lib/kernels/multiclass_hinge.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/core/dtype.h"
#include "lib/core/violation.h"
#include "lib/kernels/labels.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/kernels/multiclass_hinge.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/logits-inl.h"
#include "lib/kernels/multiclass_hinge-inl.h"
#include "lib/kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

// All rows of a block.
template <class T>
class HingeRows {
 public:
  HingeRows(const MulticlassHingeOptions& options, const RowwiseArgs<T>& args)
      : options_(options), args_(args), columns_(args.columns) {}

  HWY_INLINE RowwiseOutcome Run() {
    return ForEachRow(args_, [this](size_t i, T* gradient)
                                 HWY_ATTR { return RunOne(i, gradient); });
  }

 private:
  HWY_INLINE bool RunOne(size_t i, T* gradient) {
    const T* const row = args_.predictions + i * columns_;
    PlainTarget<T> target;
    if (args_.labels) {
      // Read once: a caller that shares memory may change it after the check.
      target.label = args_.labels[i];
      if (target.label < 0 || static_cast<uint64_t>(target.label) >= columns_) {
        return false;
      }
    } else {
      target.weights = args_.targets + i * columns_;
      target.count = columns_;
    }
    if (!args_.propagate && !IsAllowed(row, target.weights)) return false;
    double& loss = args_.row_losses[i];
    // Not left to vectors, whose maximum may lose NaN.
    loss = args_.propagate && HasNan(row, target.weights)
               ? std::numeric_limits<double>::quiet_NaN()
               : Loss(row, target, args_.scales[i], gradient);
    if (gradient && std::isnan(loss)) {
      std::fill_n(gradient, columns_, std::numeric_limits<T>::quiet_NaN());
    }
    if (!args_.propagate &&
        !(std::isfinite(loss) && (!gradient || IsFinite(gradient, columns_)))) {
      return false;
    }
    if (args_.diagnostics)
      args_.diagnostics[i] = IsRight(row, columns_, target);
    return true;
  }

  HWY_INLINE double Loss(const T* row, const PlainTarget<T>& target,
                         double scale, T* gradient) {
    const auto label = static_cast<size_t>(target.label);
    switch (options_.form) {
      case HingeForm::kLargest:
        return LargestRow(row, columns_, label, scale, gradient);
      case HingeForm::kSum:
        return SumRow(options_.p == 2, options_.margin, row, columns_, label,
                      args_.column ? args_.column[label] : 1, scale, gradient);
      case HingeForm::kDense:
        if constexpr (std::is_same_v<T, double>) {
          return DenseRow(row, target.weights, columns_, scale, gradient);
        }
        break;
    }
    return std::numeric_limits<double>::quiet_NaN();
  }

  HWY_INLINE bool IsAllowed(const T* row, const T* targets) {
    if (!IsFinite(row, columns_)) return false;
    if (targets == nullptr) return true;
    const ChunkTag<T> d;
    auto allowed = hn::Eq(hn::Zero(d), hn::Zero(d));
    for (size_t i = 0; i < columns_; i += kSumLanes) {
      const Chunk<T> chunk(targets + i, columns_ - i, T{0});
      for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
        allowed = hn::And(allowed, IsProbability(d, chunk.Get(lane)));
      }
    }
    return hn::AllTrue(d, allowed);
  }

  // Whether there is NaN in the row, or in what its scores and targets make.
  bool HasNan(const T* row, const T* targets) {
    for (size_t k = 0; k < columns_; ++k) {
      const T mass = targets ? targets[k] : 0;
      if (std::isnan(row[k]) || (targets && std::isnan(mass * row[k])) ||
          std::isnan((1 - mass) * row[k])) {
        return true;
      }
    }
    return false;
  }

  const MulticlassHingeOptions& options_;
  const RowwiseArgs<T>& args_;
  const size_t columns_;
};

RowwiseOutcome RunFloat(const MulticlassHingeOptions& options,
                        const RowwiseArgs<float>& args) {
  return HingeRows<float>(options, args).Run();
}

RowwiseOutcome RunDouble(const MulticlassHingeOptions& options,
                         const RowwiseArgs<double>& args) {
  return HingeRows<double>(options, args).Run();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

HWY_EXPORT(RunFloat);
HWY_EXPORT(RunDouble);

std::optional<Offence> Explain(const RowView& row) {
  if (auto offence = ExplainLabel(row)) return offence;
  for (size_t k = 0; k < row.predictions.size(); ++k) {
    if (std::isfinite(row.predictions[k])) continue;
    return Offence{Offence::Tensor::kPredictions, k,
                   NumberText(row.predictions[k]), "finite numbers"};
  }
  for (size_t k = 0; k < row.targets.size(); ++k) {
    if (row.targets[k] >= 0 && row.targets[k] <= 1) continue;
    return Offence{Offence::Tensor::kTargets, k, NumberText(row.targets[k]),
                   "in [0, 1]"};
  }
  return std::nullopt;
}

}  // namespace

LossKernel MulticlassHingeKernel(const MulticlassHingeOptions& options) {
  const bool dense = options.form == HingeForm::kDense;
  LossTraits traits;
  traits.targets = dense ? TargetsRole::kDense : TargetsRole::kLabels;
  traits.diagnostics = {{"accuracy"}};
  traits.double_only = dense || !FitsFloat(options.margin);
  return {
      std::move(traits),
      RowwiseKernel{.run_float =
                        [options](const RowwiseArgs<float>& args) {
                          return HWY_DYNAMIC_DISPATCH(RunFloat)(options, args);
                        },
                    .run_double =
                        [options](const RowwiseArgs<double>& args) {
                          return HWY_DYNAMIC_DISPATCH(RunDouble)(options, args);
                        },
                    .explain = Explain}};
}

}  // namespace lossd
#endif  // HWY_ONCE
