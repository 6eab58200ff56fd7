#include "lib/losses/categorical_focal.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "lib/core/scratch.h"
#include "lib/kernels/cross_entropy.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/categorical_focal.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/logits-inl.h"
#include "lib/kernels/math-inl.h"
#include "lib/kernels/power-inl.h"
#include "lib/kernels/row_targets-inl.h"
#include "lib/kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

using D = ChunkTag<double>;
using V = hn::Vec<D>;

// What Keras keeps shares from 0 and 1 by, and PyTorch's floors.
constexpr double kEpsilon = 1e-7;
constexpr double kLargestSurprisal = 100;
constexpr double kSmallestDivisor = 1e-12;

// A row of numbers as shares of their sum.
struct Shares {
  // The first of the largest.
  size_t top = 0;
  double sum = 1;
  // Of all but the top.
  double rest = 0;
};

class FocalRow {
 public:
  FocalRow(const CategoricalFocalParams& params, Semantics semantics,
           const RowwiseArgs<double>& args)
      : params_(params),
        logits_(params.prediction_kind == PredictionKind::kLogits),
        strict_(semantics == Semantics::kStrict),
        clips_(semantics == Semantics::kKeras),
        // PyTorch has no such loss, and takes probabilities as they are.
        as_given_(semantics == Semantics::kPytorch && !logits_),
        power_(params.gamma),
        sum_tolerance_(ProbabilitySumTolerance(args.half_predictions)),
        diagnostics_(args.diagnostics),
        room_((args.columns + kSumLanes - 1) / kSumLanes * kSumLanes),
        memory_(ScratchUse::kKernel, 2 * room_) {}

  HWY_INLINE bool operator()(const RowOperands<double>& row, double* loss,
                             int64_t* clipped) const {
    if (strict_ && !ScanTargets(row.targets, row.columns).allowed) return false;
    Shares shares;
    if (!(logits_ ? OfLogits(row, &shares) : OfProbabilities(row, &shares))) {
      return false;
    }
    const double pull = Terms(row, shares, loss, clipped);
    const double alpha = *params_.alpha;
    *loss *= alpha;
    if (row.gradients[0]) Slopes(row, shares, alpha * row.scale, pull);
    if (diagnostics_) {
      diagnostics_[row.index] =
          IsRight(row.predictions, row.columns,
                  PlainTarget<double>{-1, row.targets, nullptr, row.columns});
    }
    return true;
  }

 private:
  // Numbers that make up the shares, and a term of each class.
  double* Parts() const { return memory_.data(); }
  double* Slots() const { return memory_.data() + room_; }

  static size_t TopOf(const RowOperands<double>& row) {
    return static_cast<size_t>(
        std::max_element(row.predictions, row.predictions + row.columns) -
        row.predictions);
  }

  // Calls fn(prediction, i, lane, is_top) for the vectors of classes i + lane
  // and up.
  template <class Fn>
  HWY_INLINE void ForEach(const RowOperands<double>& row, size_t top,
                          double filler, Fn fn) const {
    const D d;
    const V top_v = hn::Set(d, static_cast<double>(top));
    for (size_t i = 0; i < row.columns; i += kSumLanes) {
      const Chunk<double> chunk(row.predictions + i, row.columns - i, filler);
      for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
        const V index = hn::Iota(d, static_cast<double>(i + lane));
        fn(chunk.Get(lane), i, lane, hn::Eq(index, top_v));
      }
    }
  }

  HWY_INLINE bool OfLogits(const RowOperands<double>& row,
                           Shares* shares) const {
    const D d;
    shares->top = TopOf(row);
    const double max = row.predictions[shares->top];
    if (!std::isfinite(max)) return false;
    const V max_v = hn::Set(d, max);
    LaneAccumulator rest;
    auto number = hn::Eq(max_v, max_v);
    ForEach(row, shares->top, -std::numeric_limits<double>::infinity(),
            [&](V x, size_t i, size_t lane, auto is_top) HWY_ATTR {
              number = hn::And(number, hn::Eq(x, x));
              const V part = ExpUpToOne(d, hn::Sub(x, max_v));
              hn::Store(part, d, Parts() + i + lane);
              rest.AddDoubles(hn::IfThenZeroElse(is_top, part), lane);
            });
    shares->rest = rest.Sum();
    shares->sum = 1 + shares->rest;
    return hn::AllTrue(d, number);
  }

  HWY_INLINE bool OfProbabilities(const RowOperands<double>& row,
                                  Shares* shares) const {
    const D d;
    shares->top = TopOf(row);
    LaneAccumulator sum;
    LaneAccumulator rest;
    auto allowed = hn::Eq(hn::Zero(d), hn::Zero(d));
    ForEach(row, shares->top, 0,
            [&](V q, size_t i, size_t lane, auto is_top) HWY_ATTR {
              allowed = hn::And(allowed, IsProbability(d, q));
              hn::Store(q, d, Parts() + i + lane);
              sum.AddDoubles(q, lane);
              rest.AddDoubles(hn::IfThenZeroElse(is_top, q), lane);
            });
    shares->sum = sum.Sum();
    shares->rest = rest.Sum();
    if (strict_ && !(hn::AllTrue(d, allowed) &&
                     std::abs(shares->sum - 1) <= sum_tolerance_)) {
      return false;
    }
    if (as_given_) *shares = {row.columns, 1, 0};
    return true;
  }

  // The loss without alpha; leaves d loss / d share in the slots. Of all but
  // the top class, the sum of shares times these.
  HWY_INLINE double Terms(const RowOperands<double>& row, const Shares& shares,
                          double* loss, int64_t* clipped) const {
    const D d;
    const V one = hn::Set(d, 1);
    const V zero = hn::Zero(d);
    const V sum = hn::Set(d, shares.sum);
    const V gamma = hn::Set(d, params_.gamma);
    const V rest = hn::Set(d, shares.rest / shares.sum);
    const double top_part = shares.top < row.columns ? Parts()[shares.top] : 1;
    const V top_surprisal = hn::Set(d, Log1pOfPositive(shares.rest / top_part));
    const V max =
        hn::Set(d, shares.top < row.columns ? row.predictions[shares.top] : 0);
    const V keep = hn::Set(d, 1 - params_.label_smoothing);
    const V spread =
        hn::Set(d, params_.label_smoothing / static_cast<double>(row.columns));
    LaneAccumulator losses;
    LaneAccumulator pulls;
    ForEach(row, shares.top, 0,
            [&](V x, size_t i, size_t lane, auto is_top) HWY_ATTR {
              const size_t at = i + lane;
              const auto live =
                  hn::FirstN(d, row.columns - std::min(at, row.columns));
              const Chunk<double> targets(row.targets + i, row.columns - i, 0);
              const V mass = hn::IfThenElseZero(
                  live, hn::MulAdd(keep, targets.Get(lane), spread));
              const V share = hn::Div(hn::Load(d, Parts() + at), sum);
              V q = share;
              V others = hn::IfThenElse(is_top, rest, hn::Sub(one, q));
              V surprisal = logits_ ? hn::Add(top_surprisal, hn::Sub(max, x))
                                    : hn::Neg(LogOrMinusInfinity(d, q));
              surprisal = hn::IfThenElse(is_top, top_surprisal, surprisal);
              auto free = live;
              if (clips_) {
                const V low = hn::Set(d, kEpsilon);
                const V high = hn::Set(d, 1 - kEpsilon);
                q = hn::Min(high, hn::Max(low, share));
                free = hn::Eq(q, share);
                others = hn::IfThenElse(free, others, hn::Sub(one, q));
                surprisal = hn::IfThenElse(free, surprisal,
                                           hn::Neg(LogOrMinusInfinity(d, q)));
                *clipped += static_cast<int64_t>(
                    hn::CountTrue(d, hn::AndNot(free, live)));
              }
              if (as_given_) {
                const V ceiling = hn::Set(d, kLargestSurprisal);
                const auto over = hn::And(hn::Gt(surprisal, ceiling), live);
                *clipped += static_cast<int64_t>(hn::CountTrue(d, over));
                surprisal = hn::IfThenElse(over, ceiling, surprisal);
                q = hn::Max(q, hn::Set(d, kSmallestDivisor));
              }
              const V weight = hn::Mul(mass, power_(d, others));
              // Not Ne, which is false for NaN.
              const auto counts = hn::Not(hn::Eq(mass, zero));
              losses.AddDoubles(
                  hn::IfThenElseZero(counts, hn::Mul(weight, surprisal)), lane);
              // -log(1 - u) / u is 1 where u is 0.
              const V ratio = hn::IfThenElse(hn::Eq(others, zero), one,
                                             hn::Div(surprisal, others));
              // 1 / q, or of logits 1, and then the slope is that times q.
              const V own = logits_ ? one : hn::Div(one, q);
              const V other = logits_ ? hn::Mul(q, ratio) : ratio;
              const V term = hn::Mul(weight, hn::MulAdd(gamma, other, own));
              const V slope =
                  hn::IfThenElseZero(hn::And(counts, free), hn::Neg(term));
              hn::Store(slope, d, Slots() + at);
              const V pull = logits_ ? slope : hn::Mul(share, slope);
              pulls.AddDoubles(hn::IfThenZeroElse(is_top, pull), lane);
            });
    *loss = losses.Sum();
    return pulls.Sum();
  }

  // `pull` is that of all but the top class, so that nothing cancels where
  // the top has nearly all.
  HWY_INLINE void Slopes(const RowOperands<double>& row, const Shares& shares,
                         double scale, double pull) const {
    const D d;
    const V sum = hn::Set(d, shares.sum);
    const V factor = hn::Set(d, logits_ ? scale : scale / shares.sum);
    const double top_slot = shares.top < row.columns ? Slots()[shares.top] : 0;
    const double top_share =
        shares.top < row.columns ? Parts()[shares.top] / shares.sum : 0;
    const double all = as_given_ ? 0
                       : logits_ ? pull + top_slot
                                 : pull + top_share * top_slot;
    ForEach(row, shares.top, 0, [&](V, size_t i, size_t lane, auto) HWY_ATTR {
      const size_t at = i + lane;
      const V slot = hn::Load(d, Slots() + at);
      V common = hn::Set(d, all);
      if (logits_) {
        const V share = hn::Div(hn::Load(d, Parts() + at), sum);
        common = hn::Mul(share, common);
      }
      StorePart<double>(hn::Mul(factor, hn::Sub(slot, common)),
                        row.gradients[0], at, row.columns);
    });
    if (as_given_) return;
    const double others = shares.rest / shares.sum;
    const double common = logits_ ? top_share * pull : pull;
    row.gradients[0][shares.top] =
        (logits_ ? scale : scale / shares.sum) * (top_slot * others - common);
  }

  const CategoricalFocalParams& params_;
  const bool logits_;
  const bool strict_;
  const bool clips_;
  const bool as_given_;
  const Power<double> power_;
  const double sum_tolerance_;
  double* const diagnostics_;
  // Classes of a row, rounded up to whole chunks.
  const size_t room_;
  const Scratch<double> memory_;
};

RowwiseOutcome RunDouble(const CategoricalFocalParams& params,
                         Semantics semantics, const RowwiseArgs<double>& args) {
  const FocalRow row(params, semantics, args);
  return RowLoop<double, FocalRow>(row, args).Run();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

HWY_EXPORT(RunDouble);

}  // namespace

void CategoricalFocal::Resolve(Semantics semantics, Params* params) {
  const bool keras = semantics == Semantics::kKeras;
  if (keras && params->prediction_kind == PredictionKind::kUnspecified) {
    params->prediction_kind = PredictionKind::kProbabilities;
  }
  if (!params->alpha) params->alpha = keras ? 0.25 : 1;
}

LossKernel CategoricalFocal::Kernel(const Params& params, Semantics semantics) {
  // The same rows are refused, for the same reasons.
  const LossKernel cross_entropy =
      CrossEntropyKernel({.prediction_kind = params.prediction_kind,
                          .label_smoothing = params.label_smoothing});
  LossTraits traits;
  traits.logits = params.prediction_kind == PredictionKind::kLogits;
  traits.double_only = true;
  traits.diagnostics = {{"accuracy"}};
  RowwiseKernel kernel;
  kernel.run_double = [params, semantics](const RowwiseArgs<double>& args) {
    return HWY_DYNAMIC_DISPATCH(RunDouble)(params, semantics, args);
  };
  kernel.explain = std::get<RowwiseKernel>(cross_entropy.engine).explain;
  return {std::move(traits), std::move(kernel)};
}

}  // namespace lossd
#endif  // HWY_ONCE
