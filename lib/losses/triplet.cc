#include "lib/losses/triplet.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/kernels/explain.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/losses/triplet.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/math-inl.h"
#include "lib/kernels/power-inl.h"
#include "lib/kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

using D = ChunkTag<double>;
using V = hn::Vec<D>;

// A p-norm and its slope.
class Norm {
 public:
  explicit Norm(double p) : p_(p), power_(p), slope_power_(p - 1) {}

  // Of u - v + epsilon.
  HWY_INLINE double Of(const double* u, const double* v, double epsilon,
                       size_t columns) const {
    if (p_ == 2) {
      return std::sqrt(Sum(u, v, epsilon, columns,
                           [](V e) HWY_ATTR { return hn::Mul(e, e); }));
    }
    if (p_ == 1) {
      return Sum(u, v, epsilon, columns,
                 [](V e) HWY_ATTR { return hn::Abs(e); });
    }
    // In units of the largest part: no power is above 1.
    const double largest = Largest(u, v, epsilon, columns);
    if (largest == 0 || !std::isfinite(largest)) return largest;
    const V unit = hn::Set(D(), largest);
    const double sum = Sum(u, v, epsilon, columns, [this, unit](V e) HWY_ATTR {
      return power_(D(), hn::Div(hn::Abs(e), unit));
    });
    return largest / ExpUpToOne(-LogOfPositive(sum) / p_);
  }

  // Of a part e of a vector with this norm.
  HWY_INLINE V Slope(V e, double norm) const {
    const D d;
    const V zero = hn::Zero(d);
    if (norm == 0) return zero;
    if (p_ == 2) return hn::Div(e, hn::Set(d, norm));
    const V size = p_ == 1
                       ? hn::Set(d, 1)
                       : slope_power_(d, hn::Div(hn::Abs(e), hn::Set(d, norm)));
    return hn::IfThenZeroElse(hn::Eq(e, zero), hn::CopySign(size, e));
  }

 private:
  // Sum of term(u - v + epsilon) over the parts.
  template <class Term>
  static HWY_INLINE double Sum(const double* u, const double* v, double epsilon,
                               size_t columns, Term term) {
    const D d;
    LaneAccumulator sum;
    for (size_t i = 0; i < columns; i += kSumLanes) {
      // Parts beyond the row are as large as epsilon, so that they are 0.
      const Chunk<double> of_u(u + i, columns - i, -epsilon);
      const Chunk<double> of_v(v + i, columns - i, 0);
      for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
        const V e = hn::Add(hn::Sub(of_u.Get(lane), of_v.Get(lane)),
                            hn::Set(d, epsilon));
        sum.AddDoubles(term(e), lane);
      }
    }
    return sum.Sum();
  }

  static HWY_INLINE double Largest(const double* u, const double* v,
                                   double epsilon, size_t columns) {
    double largest = 0;
    for (size_t k = 0; k < columns; ++k) {
      largest = std::max(largest, std::abs(u[k] - v[k] + epsilon));
    }
    return largest;
  }

  const double p_;
  const Power<double> power_;
  const Power<double> slope_power_;
};

class TripletRow {
 public:
  TripletRow(const TripletParams& params, Semantics semantics)
      : params_(params), semantics_(semantics), norm_(params.p) {}

  HWY_INLINE bool operator()(const RowOperands<double>& row, double* loss,
                             int64_t* /*clipped*/) const {
    const double* const anchor = row.predictions;
    const double* const positive = row.extras[0];
    const double* const negative = row.extras[1];
    if (semantics_ == Semantics::kStrict &&
        !(IsFinite(anchor, row.columns) && IsFinite(positive, row.columns) &&
          IsFinite(negative, row.columns))) {
      return false;
    }
    const double near = Distance(anchor, positive, row.columns);
    const double far = Distance(anchor, negative, row.columns);
    double swapped = far;
    // Of `far` in the loss; what is missing of 1 is that of `swapped`.
    double share = 1;
    if (params_.swap) {
      swapped = Distance(positive, negative, row.columns);
      share = swapped < far ? 0 : swapped == far ? 0.5 : 1;
    }
    const double excess = near - std::min(far, swapped) + params_.margin;
    // NaN stays.
    const bool idle = excess < 0;
    *loss = idle ? 0 : excess;
    Slopes(row, near, far, swapped, share, idle ? 0 : row.scale);
    return true;
  }

 private:
  HWY_INLINE double Distance(const double* u, const double* v,
                             size_t columns) const {
    return norm_.Of(u, v, params_.epsilon, columns);
  }

  HWY_INLINE void Slopes(const RowOperands<double>& row, double near,
                         double far, double swapped, double share,
                         double scale) const {
    const D d;
    const V epsilon = hn::Set(d, params_.epsilon);
    const V factor = hn::Set(d, scale);
    const V of_far = hn::Set(d, share);
    const V of_swapped = hn::Set(d, 1 - share);
    const bool idle = scale == 0;
    for (size_t i = 0; i < row.columns; i += kSumLanes) {
      const size_t live = row.columns - i;
      const Chunk<double> anchor(row.predictions + i, live, 0);
      const Chunk<double> positive(row.extras[0] + i, live, 0);
      const Chunk<double> negative(row.extras[1] + i, live, 0);
      for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
        const auto slope = [&](const auto& u, const auto& v,
                               double norm) HWY_ATTR {
          const V e = hn::Add(hn::Sub(u.Get(lane), v.Get(lane)), epsilon);
          return norm_.Slope(e, norm);
        };
        const auto store = [&](size_t k, V v) HWY_ATTR {
          if (row.gradients[k] == nullptr) return;
          // Not times 0, which may be -0.
          v = idle ? hn::Zero(d) : hn::Mul(factor, v);
          StorePart<double>(v, row.gradients[k], i + lane, row.columns);
        };
        const V to_near = slope(anchor, positive, near);
        const V to_far = hn::Mul(of_far, slope(anchor, negative, far));
        V to_swapped = hn::Zero(d);
        if (share != 1) {
          to_swapped = hn::Mul(of_swapped, slope(positive, negative, swapped));
        }
        store(0, hn::Sub(to_near, to_far));
        store(1, hn::Neg(hn::Add(to_near, to_swapped)));
        store(2, hn::Add(to_far, to_swapped));
      }
    }
  }

  const TripletParams& params_;
  const Semantics semantics_;
  const Norm norm_;
};

RowwiseOutcome RunDouble(const TripletParams& params, Semantics semantics,
                         const RowwiseArgs<double>& args) {
  const TripletRow row(params, semantics);
  return RowLoop<double, TripletRow>(row, args).Run();
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

LossKernel Triplet::Kernel(const Params& params, Semantics semantics) {
  LossTraits traits;
  traits.targets = TargetsRole::kNone;
  traits.double_only = true;
  traits.extras = {{.name = "positive", .differentiable = true},
                   {.name = "negative", .differentiable = true}};
  RowwiseKernel kernel;
  kernel.run_double = [params, semantics](const RowwiseArgs<double>& args) {
    return HWY_DYNAMIC_DISPATCH(RunDouble)(params, semantics, args);
  };
  kernel.explain = ExplainNotFinite;
  return {std::move(traits), std::move(kernel)};
}

}  // namespace lossd
#endif  // HWY_ONCE
