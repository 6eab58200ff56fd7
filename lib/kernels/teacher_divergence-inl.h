// One row of the divergences between a teacher's and a student's logits. See
// teacher_divergence.h.

#if defined(LOSSD_LIB_KERNELS_TEACHER_DIVERGENCE_INL_H_) == \
    defined(HWY_TARGET_TOGGLE)
#ifdef LOSSD_LIB_KERNELS_TEACHER_DIVERGENCE_INL_H_
#undef LOSSD_LIB_KERNELS_TEACHER_DIVERGENCE_INL_H_
#else
#define LOSSD_LIB_KERNELS_TEACHER_DIVERGENCE_INL_H_
#endif

#include <cmath>
#include <cstddef>
#include <limits>

#include "hwy/highway.h"
#include "lib/kernels/lanes-inl.h"
#include "lib/kernels/math-inl.h"
#include "lib/kernels/softmax-inl.h"
#include "lib/kernels/teacher_divergence.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {

// A row of logits and its softmax.
struct Distribution {
  // Divided by the temperature.
  const double* logits = nullptr;
  // exp(logits - max), for whole chunks.
  const double* exps = nullptr;
  Softmax<double> softmax{};
};

// `scaled` and `exps` have room for whole chunks.
HWY_INLINE Distribution DistributionOf(const double* row, size_t columns,
                                       double temperature, double* scaled,
                                       double* exps) {
  const ChunkTag<double> d;
  Distribution distribution{row, exps};
  if (temperature != 1) {
    const auto divisor = hn::Set(d, temperature);
    ForEachChunk(columns, [&](size_t i, size_t live) HWY_ATTR {
      const Chunk<double> x(row + i, live, 0);
      for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
        hn::Store(hn::Div(x.Get(lane), divisor), d, scaled + i + lane);
      }
    });
    distribution.logits = scaled;
  }
  distribution.softmax = SoftmaxOf(distribution.logits, columns, exps);
  return distribution;
}

// log(a.sum / b.sum), which is small where both nearly agree: not the
// difference of two logarithms.
HWY_INLINE double LogRatioOfSums(const Softmax<double>& a,
                                 const Softmax<double>& b) {
  const double more = a.rest - b.rest;
  return more > 0 ? Log1pOfPositive(more / b.sum)
                  : -Log1pOfPositive(-more / a.sum);
}

// What both distributions say of some classes.
template <class V>
struct Pair {
  V teacher;
  V student;
  // log(teacher / student). NaN where both are impossible.
  V log_ratio;
};

// Calls fn(i, lane, live, Pair) for the vectors of a row.
template <class Fn>
HWY_INLINE void ForEachPair(const Distribution& teacher,
                            const Distribution& student, size_t columns,
                            Fn fn) {
  using D = ChunkTag<double>;
  const D d;
  constexpr double kImpossible = -std::numeric_limits<double>::infinity();
  const auto teacher_max = hn::Set(d, teacher.softmax.max);
  const auto student_max = hn::Set(d, student.softmax.max);
  const auto teacher_share = hn::Set(d, 1 / teacher.softmax.sum);
  const auto student_share = hn::Set(d, 1 / student.softmax.sum);
  const auto shift =
      hn::Set(d, LogRatioOfSums(teacher.softmax, student.softmax));
  ForEachChunk(columns, [&](size_t i, size_t live) HWY_ATTR {
    const Chunk<double> u(teacher.logits + i, live, kImpossible);
    const Chunk<double> x(student.logits + i, live, kImpossible);
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto of_teacher = Difference(d, u.Get(lane), teacher_max);
      const auto of_student = Difference(d, x.Get(lane), student_max);
      const auto lost = hn::Sub(of_teacher.lost, of_student.lost);
      const auto below_max =
          hn::Add(hn::Sub(of_teacher.rounded, of_student.rounded), lost);
      const Pair<hn::Vec<D>> pair = {
          hn::Mul(hn::Load(d, teacher.exps + i + lane), teacher_share),
          hn::Mul(hn::Load(d, student.exps + i + lane), student_share),
          hn::Sub(below_max, shift)};
      fn(i, lane, pair);
    }
  });
}

template <class V>
struct DivergenceTerm {
  // Adds up to KL(p || r).
  V value;
  // r - p.
  V difference;
};

// Of classes with probabilities p and r, D = log(p / r). Infinite where p is
// possible and r is not.
template <class D, class V = hn::Vec<D>>
HWY_INLINE DivergenceTerm<V> TermOfDivergence(D d, V p, V r, V log_ratio) {
  const V beyond = Expm1MinusXNearZero(d, hn::Neg(log_ratio));
  const auto near = hn::Lt(hn::Abs(log_ratio), hn::Set(d, 1));
  const V difference = hn::IfThenElse(
      near, hn::Mul(p, hn::Sub(beyond, log_ratio)), hn::Sub(r, p));
  // Without mass there is no term, whatever the logarithm.
  const V mass_and_log =
      hn::IfThenElseZero(hn::Gt(p, hn::Zero(d)), hn::Mul(p, log_ratio));
  V value = hn::IfThenElse(near, hn::Mul(p, beyond),
                           hn::Add(difference, mass_and_log));
  const auto lost = hn::Eq(log_ratio, Infinity(d));
  value = hn::IfThenElse(lost, Infinity(d), value);
  return {value, difference};
}

template <class V>
struct JensenShannonTerm {
  V value;
  // log(student / mixture).
  V log_ratio;
};

template <class D, class V = hn::Vec<D>>
HWY_INLINE JensenShannonTerm<V> TermOfJensenShannon(D d, const Pair<V>& pair,
                                                    double teacher_share) {
  const V zero = hn::Zero(d);
  const V one = hn::Set(d, 1);
  const V larger = hn::Max(pair.teacher, pair.student);
  const V smaller = hn::Min(pair.teacher, pair.student);
  const V distance = hn::Abs(pair.log_ratio);
  const auto teacher_is_larger = hn::Gt(pair.log_ratio, zero);
  const V share =
      hn::IfThenElse(teacher_is_larger, hn::Set(d, 1 - teacher_share),
                     hn::Set(d, teacher_share));
  // e^-a, e^-a - 1 and k(-a).
  const V ratio = hn::Div(smaller, larger);
  const V beyond = Expm1MinusXNearZero(d, distance);
  const auto near = hn::Lt(distance, one);
  const V expm1 =
      hn::IfThenElse(near, hn::Neg(hn::Mul(ratio, hn::Add(distance, beyond))),
                     hn::Sub(ratio, one));
  const V product =
      hn::IfThenElseZero(hn::Gt(ratio, zero), hn::Mul(distance, ratio));
  const V of_distance = hn::IfThenElse(near, hn::Mul(ratio, beyond),
                                       hn::Sub(hn::Neg(expm1), product));
  // L and k(L).
  const V below_one = hn::Mul(share, expm1);
  const V log = Log1pOfNegative(d, below_one);
  const V mixture = hn::Add(one, below_one);
  const V of_log =
      hn::IfThenElse(hn::Gt(log, hn::Neg(one)),
                     hn::Mul(mixture, Expm1MinusXNearZero(d, hn::Neg(log))),
                     hn::Sub(hn::Mul(log, mixture), below_one));
  const V gap = hn::Sub(hn::Mul(share, of_distance), of_log);
  const V student_to_larger = hn::IfThenElseZero(teacher_is_larger, distance);
  return {hn::IfThenElseZero(hn::Gt(larger, zero), hn::Mul(larger, gap)),
          hn::Neg(hn::Add(log, student_to_larger))};
}

// Each function computes one row: its loss and, if `gradient` is not null, its
// gradient. `logs` has room for whole chunks. False if a result is not finite.

// scale = what gradients of KL with respect to the scaled logits are multiplied
// by.
HWY_INLINE bool ForwardRow(const Distribution& teacher,
                           const Distribution& student, size_t columns,
                           double scale, double* gradient, double* logs,
                           double* loss) {
  const ChunkTag<double> d;
  const auto scale_v = hn::Set(d, scale);
  LaneAccumulator sum;
  ForEachPair(
      teacher, student, columns,
      [&](size_t i, size_t lane, const auto& pair) HWY_ATTR {
        const auto term =
            TermOfDivergence(d, pair.teacher, pair.student, pair.log_ratio);
        sum.AddDoubles(term.value, lane);
        hn::Store(hn::Mul(scale_v, term.difference), d, logs + i + lane);
      });
  *loss = sum.Sum();
  if (gradient == nullptr) return std::isfinite(*loss);
  const bool finite = StoreGradient<false>(
      gradient, columns,
      [&](size_t i, size_t) HWY_ATTR { return hn::LoadU(d, logs + i); });
  return finite && std::isfinite(*loss);
}

// gradient_j = scale q_j (logs_j - sum_k q_k logs_k), where q_j is not 0. Taken
// relative to the likeliest class m, whose own term is q_m times the small
// sum_k q_k (logs_m - logs_k): a confident student (q_m near 1) would lose its
// digits in the difference to the mean.
HWY_INLINE bool StoreCentered(const Distribution& student, size_t columns,
                              double scale, const double* logs,
                              double* gradient) {
  const ChunkTag<double> d;
  const auto zero = hn::Zero(d);
  // In shared memory it may not be there any more.
  size_t likeliest = 0;
  while (likeliest + 1 < columns &&
         student.logits[likeliest] != student.softmax.max) {
    ++likeliest;
  }
  const auto reference = hn::Set(d, logs[likeliest]);
  LaneAccumulator above;
  ForEachChunk(columns, [&](size_t i, size_t) HWY_ATTR {
    for (size_t lane = 0; lane < kSumLanes; lane += hn::MaxLanes(d)) {
      const auto exp = hn::Load(d, student.exps + i + lane);
      const auto below = hn::Sub(reference, hn::Load(d, logs + i + lane));
      above.AddDoubles(
          hn::IfThenElseZero(hn::Gt(exp, zero), hn::Mul(exp, below)), lane);
    }
  });
  const auto offset = hn::Set(d, above.Sum() / student.softmax.sum);
  const auto factor = hn::Set(d, scale / student.softmax.sum);
  return StoreGradient<false>(
      gradient, columns, [&](size_t i, size_t) HWY_ATTR {
        const auto exp = hn::LoadU(d, student.exps + i);
        const auto centered =
            hn::Add(hn::Sub(hn::LoadU(d, logs + i), reference), offset);
        return hn::IfThenElseZero(hn::Gt(exp, zero),
                                  hn::Mul(hn::Mul(exp, factor), centered));
      });
}

HWY_INLINE bool ReverseRow(const Distribution& teacher,
                           const Distribution& student, size_t columns,
                           double scale, double* gradient, double* logs,
                           double* loss) {
  const ChunkTag<double> d;
  LaneAccumulator sum;
  ForEachPair(teacher, student, columns,
              [&](size_t i, size_t lane, const auto& pair) HWY_ATTR {
                const auto log_ratio = hn::Neg(pair.log_ratio);
                const auto term =
                    TermOfDivergence(d, pair.student, pair.teacher, log_ratio);
                sum.AddDoubles(term.value, lane);
                hn::Store(log_ratio, d, logs + i + lane);
              });
  *loss = sum.Sum();
  if (gradient == nullptr) return std::isfinite(*loss);
  return StoreCentered(student, columns, scale, logs, gradient) &&
         std::isfinite(*loss);
}

HWY_INLINE bool JensenShannonRow(const Distribution& teacher,
                                 const Distribution& student,
                                 double teacher_share, size_t columns,
                                 double scale, double* gradient, double* logs,
                                 double* loss) {
  const ChunkTag<double> d;
  LaneAccumulator sum;
  ForEachPair(teacher, student, columns,
              [&](size_t i, size_t lane, const auto& pair) HWY_ATTR {
                const auto term = TermOfJensenShannon(d, pair, teacher_share);
                sum.AddDoubles(term.value, lane);
                hn::Store(term.log_ratio, d, logs + i + lane);
              });
  *loss = sum.Sum();
  if (gradient == nullptr) return std::isfinite(*loss);
  return StoreCentered(student, columns, scale * (1 - teacher_share), logs,
                       gradient) &&
         std::isfinite(*loss);
}

}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#endif  // LOSSD_LIB_KERNELS_TEACHER_DIVERGENCE_INL_H_
