// Cross-entropy of logits with few classes: a row in each lane, so that short
// rows fill vectors. Sums are double, in class order; lanes do not meet, so the
// width of a vector cannot change a bit.

#if defined(LOSSD_LIB_KERNELS_FEW_CLASSES_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_FEW_CLASSES_INL_H_
#undef LOSSD_LIB_KERNELS_FEW_CLASSES_INL_H_
#else
#define LOSSD_LIB_KERNELS_FEW_CLASSES_INL_H_
#endif

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <type_traits>

#include "hwy/highway.h"
#include "lib/kernels/cross_entropy.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

inline constexpr size_t kFewClasses = 32;

// The numbers of a vector of T as vectors of double, and back.
template <class T>
struct Widened {
  using D = ChunkTag<T>;
  using D64 = ChunkTag<double>;
  static constexpr size_t kParts = hn::MaxLanes(D()) / hn::MaxLanes(D64());
  hn::Vec<D64> part[kParts];

  static HWY_INLINE Widened Of(hn::Vec<D> v) {
    Widened wide;
    ForEachDoubles<T>(v, 0, [&](size_t lane, auto numbers) HWY_ATTR {
      wide.part[lane / hn::MaxLanes(D64())] = numbers;
    });
    return wide;
  }

  static HWY_INLINE Widened Load(const double* from) {
    Widened wide;
    for (size_t k = 0; k < kParts; ++k) {
      wide.part[k] = hn::LoadU(D64(), from + k * hn::MaxLanes(D64()));
    }
    return wide;
  }

  HWY_INLINE void Store(double* to) const {
    for (size_t k = 0; k < kParts; ++k) {
      hn::StoreU(part[k], D64(), to + k * hn::MaxLanes(D64()));
    }
  }

  HWY_INLINE hn::Vec<D> Narrow() const {
    const D d;
    if constexpr (std::is_same_v<T, double>) {
      return part[0];
    } else {
#if HWY_TARGET == HWY_SCALAR
      return hn::DemoteTo(d, part[0]);
#else
      const hn::Half<D> half;
      return hn::Combine(d, hn::DemoteTo(half, part[1]),
                         hn::DemoteTo(half, part[0]));
#endif
    }
  }

  template <class Fn>
  static HWY_INLINE Widened Map(Fn fn) {
    Widened wide;
    for (size_t k = 0; k < kParts; ++k) wide.part[k] = fn(k);
    return wide;
  }
};

// Runs a block of rows. kLabels: targets are labels, else dense.
template <bool kLabels, class T>
class FewClassesEngine {
 public:
  explicit FewClassesEngine(const RowwiseArgs<T>& args)
      : args_(args), columns_(args.columns) {}

  // Calls refuse(row) for every row that counts and is outside the domain, or
  // has no finite result; what is written of it is to be written again.
  template <class Refuse>
  HWY_INLINE void Run(Refuse refuse) {
    for (size_t row = 0; row < args_.rows; row += kWidth) {
      RunRows(row, std::min(kWidth, args_.rows - row), refuse);
    }
  }

 private:
  using D = ChunkTag<T>;
  using V = hn::Vec<D>;
  using M = hn::Mask<D>;
  using Wide = Widened<T>;
  using C = ExpConstants<T>;
  using DI = hn::RebindToSigned<D>;
  using TI = hn::TFromD<DI>;
  static constexpr size_t kWidth = hn::MaxLanes(D());

  // What the passes over the classes of a group of rows share. Numbers of class
  // c are at c * kWidth.
  struct Group {
    alignas(64) T logits[kFewClasses * kWidth];
    alignas(64) T targets[kFewClasses * kWidth];
    alignas(64) T exps[kFewClasses * kWidth];
    alignas(64) T active[kWidth];
    alignas(64) TI hot[kWidth];
    alignas(64) double scales[kWidth];
    alignas(64) double losses[kWidth];
  };

  // `live` rows from `row`; lanes behind them repeat the first and do not
  // count.
  template <class Refuse>
  HWY_INLINE void RunRows(size_t row, size_t live, Refuse refuse) {
    Group& group = group_;
    M allowed = ReadRows(row, live, group);
    const M active = hn::Ne(hn::Load(d_, group.active), hn::Zero(d_));

    V max = hn::Load(d_, group.logits);
    for (size_t c = 0; c < columns_; ++c) {
      const V x = hn::Load(d_, group.logits + c * kWidth);
      max = hn::Max(max, x);
      allowed = hn::And(allowed, hn::Lt(x, Infinity(d_)));
    }
    allowed = hn::And(allowed, hn::Gt(max, hn::Neg(Infinity(d_))));

    // As ExpBelow, for a maximum in each lane.
    const V shift = hn::IfThenElseZero(
        hn::Ge(hn::Abs(max), hn::Set(d_, C::kExactDifference)), max);
    const V rest_of_max = hn::Sub(max, shift);
    const V power = hn::Round(
        hn::Mul(rest_of_max, hn::Set(d_, static_cast<T>(1.4426950408889634))));
    const V magic = hn::Sub(hn::Set(d_, C::kMagic), power);
    const V lowest = hn::Add(rest_of_max, hn::Set(d_, C::kLowest));
    const Wide unit = Wide::Of(ScaledExp(d_, rest_of_max, magic, lowest));

    V maxima = hn::Zero(d_);
    Wide below_max = Wide::Of(hn::Zero(d_));
    for (size_t c = 0; c < columns_; ++c) {
      const V x = hn::Load(d_, group.logits + c * kWidth);
      const V exp = ScaledExp(d_, hn::Sub(x, shift), magic, lowest);
      hn::Store(exp, d_, group.exps + c * kWidth);
      const auto below = hn::Lt(x, max);
      maxima = hn::Add(maxima, hn::IfThenZeroElse(below, hn::Set(d_, T{1})));
      AddTo(below_max, hn::IfThenElseZero(below, exp));
    }
    const Wide others_of_max = Wide::Of(hn::Sub(maxima, hn::Set(d_, T{1})));
    const Wide rest = Wide::Map([&](size_t k) HWY_ATTR {
      return hn::Add(others_of_max.part[k],
                     hn::Div(below_max.part[k], unit.part[k]));
    });
    const Target target = ReadTarget(group, max, &allowed);
    const V x_hot = AtHot(group.logits, group.hot);
    const Wide loss = Loss(rest, target, x_hot, max);
    const Wide counted = Wide::Map([&](size_t k) HWY_ATTR {
      return hn::IfThenElseZero(
          hn::Ne(Wide::Of(hn::Load(d_, group.active)).part[k],
                 hn::Zero(ChunkTag<double>())),
          loss.part[k]);
    });
    counted.Store(group.losses);
    std::copy_n(group.losses, live, args_.row_losses + row);
    // NaN where the loss is not finite.
    V poison = Wide::Map([&](size_t k) HWY_ATTR {
                 return hn::Sub(counted.part[k], counted.part[k]);
               }).Narrow();
    if (args_.gradients[0] != nullptr) {
      poison = hn::Add(poison, StoreGradient(row, live, group, target, rest,
                                             unit, x_hot, max, active));
    }
    allowed = hn::And(allowed, hn::Eq(poison, hn::Zero(d_)));
    const auto refused = hn::And(active, hn::Not(allowed));
    if (HWY_UNLIKELY(!hn::AllFalse(d_, refused))) {
      alignas(64) T marks[kWidth];
      hn::Store(hn::IfThenElseZero(refused, hn::Set(d_, T{1})), d_, marks);
      for (size_t lane = 0; lane < live; ++lane) {
        if (marks[lane] != 0) refuse(row + lane);
      }
    }
  }

  struct Target {
    Wide total;
    // Sum of target times (logit - max).
    Wide cross;
    M one_hot;
  };

  static HWY_INLINE void AddTo(Wide& sum, V v) {
    const Wide wide = Wide::Of(v);
    for (size_t k = 0; k < Wide::kParts; ++k) {
      sum.part[k] = hn::Add(sum.part[k], wide.part[k]);
    }
  }

  static HWY_INLINE V AtHot(const T* numbers, const TI* hot) {
    alignas(64) T at[kWidth];
    for (size_t lane = 0; lane < kWidth; ++lane) {
      at[lane] = numbers[static_cast<size_t>(hot[lane]) * kWidth + lane];
    }
    return hn::Load(D(), at);
  }

  // Transposes the rows into the group. Which lanes have a label in range.
  HWY_INLINE M ReadRows(size_t row, size_t live, Group& group) const {
    const DI di;
    alignas(64) TI offsets[kWidth];
    alignas(64) T in_range[kWidth];
    for (size_t lane = 0; lane < kWidth; ++lane) {
      const size_t from = lane < live ? lane : 0;
      offsets[lane] = static_cast<TI>(from * columns_);
      group.active[lane] =
          lane < live ? static_cast<T>(args_.active[row + from]) : 0;
      group.scales[lane] = args_.scales[row + from];
      group.hot[lane] = 0;
      in_range[lane] = 1;
      if constexpr (kLabels) {
        // Read once: a caller that shares memory may change it.
        const int64_t label = args_.labels[row + from];
        const bool known = static_cast<uint64_t>(label) < columns_;
        group.hot[lane] = known ? static_cast<TI>(label) : 0;
        in_range[lane] = known ? 1 : 0;
      }
    }
    const auto offset = hn::Load(di, offsets);
    const T* const logits = args_.predictions + row * columns_;
    for (size_t c = 0; c < columns_; ++c) {
      hn::Store(hn::GatherIndex(d_, logits + c, offset), d_,
                group.logits + c * kWidth);
    }
    if constexpr (!kLabels) {
      const T* const targets = args_.targets + row * columns_;
      for (size_t c = 0; c < columns_; ++c) {
        hn::Store(hn::GatherIndex(d_, targets + c, offset), d_,
                  group.targets + c * kWidth);
      }
    }
    return hn::Ne(hn::Load(d_, in_range), hn::Zero(d_));
  }

  HWY_INLINE Target ReadTarget(Group& group, V max, M* allowed) const {
    Target target{Wide::Of(hn::Set(d_, T{1})), Wide::Of(hn::Zero(d_)),
                  hn::Eq(max, max)};
    if constexpr (!kLabels) {
      constexpr T kLimit = static_cast<T>(1 + kTargetTolerance);
      target.total = Wide::Of(hn::Zero(d_));
      V masses = hn::Zero(d_);
      V hot = hn::Zero(d_);
      for (size_t c = 0; c < columns_; ++c) {
        const V t = hn::Load(d_, group.targets + c * kWidth);
        const V x = hn::Load(d_, group.logits + c * kWidth);
        *allowed = hn::And(*allowed, hn::And(hn::Ge(t, hn::Zero(d_)),
                                             hn::Le(t, hn::Set(d_, kLimit))));
        const auto mass = hn::Ne(t, hn::Zero(d_));
        masses = hn::Add(masses, hn::IfThenElseZero(mass, hn::Set(d_, T{1})));
        hot = hn::IfThenElse(mass, hn::Set(d_, static_cast<T>(c)), hot);
        AddTo(target.total, t);
        AddTo(target.cross,
              hn::IfThenElseZero(mass, hn::Mul(t, hn::Sub(x, max))));
      }
      target.one_hot = hn::Eq(masses, hn::Set(d_, T{1}));
      hn::Store(hn::ConvertTo(DI(), hot), DI(), group.hot);
    }
    return target;
  }

  HWY_INLINE Wide Loss(const Wide& rest, const Target& target, V x_hot,
                       V max) const {
    const ChunkTag<double> d64;
    const Wide hot = Wide::Of(x_hot);
    const Wide top = Wide::Of(max);
    const Wide one_hot =
        Wide::Of(hn::IfThenElseZero(target.one_hot, hn::Set(d_, T{1})));
    return Wide::Map([&](size_t k) HWY_ATTR {
      const auto log_sum = Log1pOfPositive(d64, rest.part[k]);
      const auto below = hn::Sub(hot.part[k], top.part[k]);
      const auto of_one =
          hn::Mul(target.total.part[k], hn::Sub(log_sum, below));
      if constexpr (kLabels) return of_one;
      const auto of_all =
          hn::Sub(hn::Mul(target.total.part[k], log_sum), target.cross.part[k]);
      return hn::IfThenElse(hn::Ne(one_hot.part[k], hn::Zero(d64)), of_one,
                            of_all);
    });
  }

  // Zero, or NaN in lanes whose gradient is not finite.
  HWY_INLINE V StoreGradient(size_t row, size_t live, const Group& group,
                             const Target& target, const Wide& rest,
                             const Wide& unit, V x_hot, V max, M active) const {
    const ChunkTag<double> d64;
    const Wide scale = Wide::Load(group.scales);
    const Wide sum = Wide::Map([&](size_t k) HWY_ATTR {
      return hn::Add(rest.part[k], hn::Set(d64, 1));
    });
    const Wide share = Wide::Map([&](size_t k) HWY_ATTR {
      return hn::Div(target.total.part[k], hn::Mul(sum.part[k], unit.part[k]));
    });
    const V factor = Wide::Map([&](size_t k) HWY_ATTR {
                       return hn::Mul(scale.part[k], share.part[k]);
                     }).Narrow();
    const V share_t = share.Narrow();
    const V scale_t = scale.Narrow();
    const V hot_slope =
        HotSlope(group, target, scale, rest, sum, unit, x_hot, max);
    const V hot = hn::ConvertTo(d_, hn::Load(DI(), group.hot));
    alignas(64) TI offsets[kWidth];
    for (size_t lane = 0; lane < kWidth; ++lane) {
      offsets[lane] = static_cast<TI>(lane * columns_);
    }
    const auto offset = hn::Load(DI(), offsets);
    T* const out = args_.gradients[0] + row * columns_;
    V poison = hn::Zero(d_);
    for (size_t c = 0; c < columns_; ++c) {
      const V exp = hn::Load(d_, group.exps + c * kWidth);
      V slope = hn::Mul(exp, factor);
      const auto at_hot = hn::Eq(hot, hn::Set(d_, static_cast<T>(c)));
      slope = hn::IfThenElse(at_hot, hot_slope, slope);
      if constexpr (!kLabels) {
        const V t = hn::Load(d_, group.targets + c * kWidth);
        slope = hn::IfThenElse(target.one_hot, slope,
                               hn::Mul(scale_t, hn::MulSub(exp, share_t, t)));
      }
      slope = hn::IfThenElseZero(active, slope);
      poison = hn::MulAdd(slope, hn::Zero(d_), poison);
      if (HWY_LIKELY(live == kWidth)) {
        hn::ScatterIndex(slope, d_, out + c, offset);
        continue;
      }
      alignas(64) T slopes[kWidth];
      hn::Store(slope, d_, slopes);
      for (size_t lane = 0; lane < live; ++lane) {
        out[lane * columns_ + c] = slopes[lane];
      }
    }
    return poison;
  }

  HWY_INLINE V HotSlope(const Group& group, const Target& target,
                        const Wide& scale, const Wide& rest, const Wide& sum,
                        const Wide& unit, V x_hot, V max) const {
    const Wide exp = Wide::Of(AtHot(group.exps, group.hot));
    const Wide below =
        Wide::Of(hn::IfThenElseZero(hn::Lt(x_hot, max), hn::Set(d_, T{1})));
    return Wide::Map([&](size_t k) HWY_ATTR {
             const ChunkTag<double> d64;
             const auto others = hn::IfThenElse(
                 hn::Ne(below.part[k], hn::Zero(d64)),
                 hn::Sub(sum.part[k], hn::Div(exp.part[k], unit.part[k])),
                 rest.part[k]);
             const auto pull = hn::Neg(hn::Mul(target.total.part[k], others));
             return hn::Div(hn::Mul(scale.part[k], pull), sum.part[k]);
           })
        .Narrow();
  }

  const D d_;
  const RowwiseArgs<T>& args_;
  const size_t columns_;
  Group group_;
};

// Whether the engine computes this: logits, and nothing that changes targets.
template <class T>
HWY_INLINE bool HasFewClasses(const CrossEntropyOptions& options,
                              const RowwiseArgs<T>& args) {
  return args.columns <= kFewClasses && args.column == nullptr &&
         options.prediction_kind == PredictionKind::kLogits &&
         args.indices == nullptr && options.label_smoothing == 0 &&
         options.z_loss == 0 && options.logit_softcap == 0 &&
         options.temperature == 1 && !options.divergence;
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_FEW_CLASSES_INL_H_
