#include "lib/kernels/cosine.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/core/violation.h"
#include "lib/kernels/explain.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/kernels/cosine.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/rows-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

// The square of a vector's length.
struct Length {
  Length(const CosineOptions& options, double length_square)
      : square(length_square),
        added(options.guard == LengthGuard::kAdd
                  ? options.epsilon
                  : std::max(options.epsilon - square, 0.0)),
        guarded(options.guard == LengthGuard::kAdd
                    ? square + options.epsilon
                    : std::max(square, options.epsilon)),
        floored(options.guard == LengthGuard::kFloor && guarded > square) {}

  double square;
  // guarded - square.
  double added;
  double guarded;
  // `guarded` does not depend on the vector.
  bool floored;
};

// A pair of vectors.
struct Pair {
  const double* a;
  const double* b;
  size_t columns;

  // Calls fn(a, b, i, lane) for the vectors of elements i + lane and up.
  template <class Fn>
  HWY_INLINE void ForEach(Fn fn) const {
    const ChunkTag<double> d;
    for (size_t i = 0; i < columns; i += kSumLanes) {
      const Chunk<double> of_a(a + i, columns - i, 0);
      const Chunk<double> of_b(b + i, columns - i, 0);
      for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
        fn(of_a.Get(lane), of_b.Get(lane), i, lane);
      }
    }
  }
};

class CosineRow {
 public:
  explicit CosineRow(const CosineOptions& options) : options_(options) {}

  HWY_INLINE bool operator()(const RowOperands<double>& row, double* loss,
                             int64_t* /*clipped*/) const {
    const double label = options_.pairs ? row.targets[0] : 1;
    const bool alike = label == 1;
    if (options_.semantics == Semantics::kStrict && !alike && label != -1) {
      return false;
    }
    const Pair pair{row.predictions,
                    options_.pairs ? row.extras[0] : row.targets, row.columns};
    LaneAccumulator products;
    LaneAccumulator a_squares;
    LaneAccumulator b_squares;
    pair.ForEach([&](auto a, auto b, size_t, size_t lane) HWY_ATTR {
      products.AddDoubles(hn::Mul(a, b), lane);
      a_squares.AddDoubles(hn::Mul(a, a), lane);
      b_squares.AddDoubles(hn::Mul(b, b), lane);
    });
    const double dot = products.Sum();
    const Length of_a(options_, a_squares.Sum());
    const Length of_b(options_, b_squares.Sum());
    if (options_.semantics == Semantics::kStrict &&
        !std::isfinite(of_a.guarded + of_b.guarded)) {
      return false;
    }
    const double lengths = std::sqrt(of_a.guarded) * std::sqrt(of_b.guarded);
    const double cosine = dot / lengths;
    // Of the cosine in the loss.
    double sign = -1;
    if (alike) {
      *loss =
          options_.negative ? -cosine : Distance(pair, dot, cosine, of_a, of_b);
    } else if (label == -1) {
      // NaN stays.
      const bool idle = cosine < options_.margin;
      *loss = idle ? 0 : cosine - options_.margin;
      sign = idle ? 0 : 1;
    } else {
      // As PyTorch has it: neither alike nor not.
      *loss = 0;
      sign = 0;
    }
    const double factor = sign * row.scale / lengths;
    Slopes(pair, dot, of_a, factor, row.gradients[0]);
    Slopes({pair.b, pair.a, pair.columns}, dot, of_b, factor, row.gradients[1]);
    return true;
  }

 private:
  // 1 - cosine.
  HWY_INLINE double Distance(const Pair& pair, double dot, double cosine,
                             const Length& of_a, const Length& of_b) const {
    if (!(cosine > 0)) return 1 - cosine;
    const ChunkTag<double> d;
    const auto share = hn::Set(d, of_b.square > 0 ? dot / of_b.square : 0);
    LaneAccumulator squares;
    pair.ForEach([&](auto a, auto b, size_t, size_t lane) HWY_ATTR {
      const auto rest = hn::NegMulAdd(share, b, a);
      squares.AddDoubles(hn::Mul(rest, rest), lane);
    });
    const double of_rest =
        (squares.Sum() / of_a.guarded) * (of_b.square / of_b.guarded);
    const double of_guards =
        of_a.added / of_a.guarded +
        (of_a.square / of_a.guarded) * (of_b.added / of_b.guarded);
    return (of_rest + of_guards) / (1 + cosine);
  }

  // factor times the derivative of `lengths` times the cosine with respect to
  // pair.a.
  HWY_INLINE void Slopes(const Pair& pair, double dot, const Length& of_a,
                         double factor, double* gradient) const {
    if (gradient == nullptr) return;
    if (factor == 0 || (of_a.floored && of_a.square == 0)) {
      std::fill_n(gradient, pair.columns, 0.0);
      return;
    }
    const ChunkTag<double> d;
    const auto share = hn::Set(d, of_a.floored ? 0 : dot / of_a.guarded);
    const auto factor_v = hn::Set(d, factor);
    pair.ForEach([&](auto a, auto b, size_t i, size_t lane) HWY_ATTR {
      const auto slope = hn::Mul(factor_v, hn::NegMulAdd(share, a, b));
      StorePart<double>(slope, gradient, i + lane, pair.columns);
    });
  }

  const CosineOptions& options_;
};

RowwiseOutcome RunDouble(const CosineOptions& options,
                         const RowwiseArgs<double>& args) {
  const CosineRow row(options);
  return RowLoop<double, CosineRow>(row, args).Run();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

HWY_EXPORT(RunDouble);

std::optional<Offence> Explain(const CosineOptions& options,
                               const RowView& row) {
  if (auto offence = ExplainNotFinite(row)) return offence;
  if (!options.pairs || row.targets[0] == 1 || row.targets[0] == -1) {
    return std::nullopt;
  }
  return Offence{Offence::Tensor::kTargets, 0, NumberText(row.targets[0]),
                 "-1 or +1"};
}

}  // namespace

LossKernel CosineKernel(const CosineOptions& options) {
  LossTraits traits;
  traits.double_only = true;
  if (options.pairs) {
    traits.targets = TargetsRole::kRows;
    traits.extras = {{.name = "other_predictions", .differentiable = true}};
  }
  RowwiseKernel kernel;
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
