#include "lib/kernels/overlap.h"

#include <algorithm>
#include <utility>

#include "lib/core/dtype.h"
#include "lib/core/violation.h"
#include "lib/kernels/explain.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/kernels/overlap.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/math-inl.h"
#include "lib/kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

// A probability and its complement, both with all their digits.
template <class V>
struct Sides {
  V yes;
  V no;
};

template <class D, class V = hn::Vec<D>>
HWY_INLINE Sides<V> SidesOf(D d, bool logits, V prediction) {
  const V one = hn::Set(d, 1);
  if (!logits) return {prediction, hn::Sub(one, prediction)};
  const V exp = ExpUpToOne(d, hn::Neg(hn::Abs(prediction)));
  const V larger = hn::Div(one, hn::Add(one, exp));
  const V smaller = hn::Mul(exp, larger);
  const auto above = hn::Ge(prediction, hn::Zero(d));
  return {hn::IfThenElse(above, larger, smaller),
          hn::IfThenElse(above, smaller, larger)};
}

template <class T>
class OverlapRow {
 public:
  explicit OverlapRow(const OverlapOptions& options)
      : options_(options),
        logits_(options.prediction_kind == PredictionKind::kLogits) {}

  HWY_INLINE bool operator()(const RowOperands<T>& row, double* loss,
                             int64_t* /*clipped*/) const {
    const ChunkTag<T> d;
    LaneAccumulator hits;
    LaneAccumulator false_positives;
    LaneAccumulator false_negatives;
    auto allowed = hn::Eq(hn::Zero(d), hn::Zero(d));
    ForEach(
        row, [&](auto prediction, auto target, size_t, size_t lane) HWY_ATTR {
          const auto rest = hn::Sub(hn::Set(d, 1), target);
          const auto q = SidesOf(d, logits_, prediction);
          hits.Add<T>(hn::Mul(q.yes, target), lane);
          false_positives.Add<T>(hn::Mul(q.yes, rest), lane);
          false_negatives.Add<T>(hn::Mul(q.no, target), lane);
          // The difference of a logit with itself is NaN unless it
          // is finite.
          const auto inside =
              logits_ ? hn::Eq(hn::Sub(prediction, prediction), hn::Zero(d))
                      : IsProbability(d, prediction);
          allowed = hn::And(allowed, hn::And(inside, IsProbability(d, target)));
        });
    if (options_.semantics == Semantics::kStrict && !hn::AllTrue(d, allowed)) {
      return false;
    }
    const double wrong = options_.alpha * false_positives.Sum() +
                         options_.beta * false_negatives.Sum();
    const double sum = hits.Sum();
    const double right = sum + options_.smooth_numerator;
    const double all = sum + wrong + options_.smooth_denominator;
    const double missing =
        wrong + (options_.smooth_denominator - options_.smooth_numerator);
    *loss = missing / all;
    if (row.gradients[0] == nullptr) return true;
    const double factor = row.scale / all / all;
    Slopes(row, factor * right, factor * missing);
    return true;
  }

 private:
  // Calls fn(prediction, target, i, lane) for the vectors of elements i + lane
  // and up; what is beyond the row is an empty part of both masks.
  template <class Fn>
  HWY_INLINE void ForEach(const RowOperands<T>& row, Fn fn) const {
    const ChunkTag<T> d;
    // The sigmoid of -1000 is rounded to 0.
    const T none = logits_ ? T{-1000} : T{0};
    for (size_t i = 0; i < row.columns; i += kSumLanes) {
      const Chunk<T> predictions(row.predictions + i, row.columns - i, none);
      const Chunk<T> targets(row.targets + i, row.columns - i, T{0});
      for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
        fn(predictions.Get(lane), targets.Get(lane), i, lane);
      }
    }
  }

  // a right - t missing, where both are factors.
  HWY_INLINE void Slopes(const RowOperands<T>& row, double right,
                         double missing) const {
    const ChunkTag<T> d;
    const auto of_rest = hn::Set(d, static_cast<T>(options_.alpha * right));
    const auto of_target =
        hn::Set(d, static_cast<T>(options_.beta * right + missing));
    ForEach(row, [&](auto prediction, auto target, size_t i,
                     size_t lane) HWY_ATTR {
      const auto rest = hn::Sub(hn::Set(d, 1), target);
      auto slope = hn::Sub(hn::Mul(rest, of_rest), hn::Mul(target, of_target));
      if (logits_) {
        const auto q = SidesOf(d, true, prediction);
        slope = hn::Mul(slope, hn::Mul(q.yes, q.no));
      }
      StorePart<T>(slope, row.gradients[0], i + lane, row.columns);
    });
  }

  const OverlapOptions& options_;
  const bool logits_;
};

template <class T>
RowwiseOutcome RunRows(const OverlapOptions& options,
                       const RowwiseArgs<T>& args) {
  const OverlapRow<T> row(options);
  return RowLoop<T, OverlapRow<T>>(row, args).Run();
}

RowwiseOutcome RunFloat(const OverlapOptions& options,
                        const RowwiseArgs<float>& args) {
  return RunRows(options, args);
}

RowwiseOutcome RunDouble(const OverlapOptions& options,
                         const RowwiseArgs<double>& args) {
  return RunRows(options, args);
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

std::optional<Offence> Explain(const OverlapOptions& options,
                               const RowView& row) {
  if (auto offence = ExplainNotFinite(row)) return offence;
  const bool logits = options.prediction_kind == PredictionKind::kLogits;
  for (size_t k = 0; k < row.predictions.size(); ++k) {
    const double q = row.predictions[k];
    if (!logits && !(q >= 0 && q <= 1)) {
      return Offence{Offence::Tensor::kPredictions, k, NumberText(q),
                     "probabilities in [0, 1]; if these are logits, set "
                     "prediction_kind to LOGITS"};
    }
    const double t = row.targets[k];
    if (!(t >= 0 && t <= 1)) {
      return Offence{Offence::Tensor::kTargets, k, NumberText(t), "in [0, 1]"};
    }
  }
  if (options.smooth_denominator > 0) return std::nullopt;
  return Offence{Offence::Tensor::kPredictions, 0,
                 "a mask whose overlap is 0 / 0",
                 "masks that are not empty, or smooth > 0"};
}

}  // namespace

LossKernel OverlapKernel(const OverlapOptions& options) {
  LossTraits traits;
  traits.layout = options.scope == Scope::kBatch ? RowLayout::kWhole
                                                 : RowLayout::kFirstAxis;
  traits.logits = options.prediction_kind == PredictionKind::kLogits;
  traits.double_only = !FitsFloat(options.alpha) || !FitsFloat(options.beta) ||
                       !FitsFloat(options.smooth_numerator);
  RowwiseKernel kernel;
  kernel.run_float = [options](const RowwiseArgs<float>& args) {
    return HWY_DYNAMIC_DISPATCH(RunFloat)(options, args);
  };
  kernel.run_double = [options](const RowwiseArgs<double>& args) {
    return HWY_DYNAMIC_DISPATCH(RunDouble)(options, args);
  };
  kernel.explain = [options](const RowView& row) {
    return Explain(options, row);
  };
  return {std::move(traits), std::move(kernel)};
}

}  // namespace lossd
#endif  // HWY_ONCE
