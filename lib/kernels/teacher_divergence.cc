#include "lib/kernels/teacher_divergence.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>

#include "lib/core/scratch.h"
#include "lib/kernels/logarithms.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/kernels/teacher_divergence.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/rows-inl.h"
#include "lib/kernels/teacher_divergence-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

// All rows of a block, with what they work in.
class Rows {
 public:
  Rows(const TeacherDivergenceOptions& options, const RowwiseArgs<double>& args)
      : options_(options),
        args_(args),
        columns_(args.columns),
        room_((columns_ + kSumLanes - 1) / kSumLanes * kSumLanes),
        memory_(ScratchUse::kKernel, 5 * room_) {}

  HWY_INLINE RowwiseOutcome Run() {
    return ForEachRow(args_, [this](size_t i, double* gradient) HWY_ATTR {
      return RunOne(i, gradient, args_.row_losses + i) || args_.propagate;
    });
  }

 private:
  double* Memory(size_t nth) const { return memory_.data() + nth * room_; }

  HWY_INLINE bool RunOne(size_t i, double* gradient, double* loss) {
    const Distribution teacher =
        DistributionOf(args_.targets + i * columns_, columns_,
                       options_.teacher_temperature, Memory(0), Memory(1));
    const Distribution student =
        DistributionOf(args_.predictions + i * columns_, columns_,
                       options_.student_temperature, Memory(2), Memory(3));
    if (!teacher.softmax.possible || !student.softmax.possible) {
      constexpr double kNan = std::numeric_limits<double>::quiet_NaN();
      *loss = kNan;
      if (gradient) std::fill_n(gradient, columns_, kNan);
      return false;
    }
    const double scale =
        args_.scales[i] * options_.factor / options_.student_temperature;
    bool finite = false;
    switch (options_.kind) {
      case TeacherDivergenceOptions::Kind::kForward:
        finite = ForwardRow(teacher, student, columns_, scale, gradient,
                            Memory(4), loss);
        break;
      case TeacherDivergenceOptions::Kind::kReverse:
        finite = ReverseRow(teacher, student, columns_, scale, gradient,
                            Memory(4), loss);
        break;
      case TeacherDivergenceOptions::Kind::kJensenShannon:
        finite = JensenShannonRow(teacher, student, options_.teacher_share,
                                  columns_, scale, gradient, Memory(4), loss);
        break;
    }
    *loss *= options_.factor;
    return finite && std::isfinite(*loss);
  }

  const TeacherDivergenceOptions& options_;
  const RowwiseArgs<double>& args_;
  const size_t columns_;
  // Elements of a row, rounded up to whole chunks.
  const size_t room_;
  const Scratch<double> memory_;
};

RowwiseOutcome Run(const TeacherDivergenceOptions& options,
                   const RowwiseArgs<double>& args) {
  return Rows(options, args).Run();
}

}  // namespace
}  // namespace HWY_NAMESPACE
}  // namespace lossd
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace lossd {
namespace {

HWY_EXPORT(Run);

using Kind = TeacherDivergenceOptions::Kind;
using Tensor = Offence::Tensor;

std::optional<Offence> Explain(Kind kind, const RowView& row) {
  if (auto offence =
          ExplainLogarithms(row.predictions, true, Tensor::kPredictions)) {
    return offence;
  }
  if (auto offence = ExplainLogarithms(row.targets, true, Tensor::kTargets)) {
    return offence;
  }
  const bool reverse = kind == Kind::kReverse;
  const std::span<const double> first = reverse ? row.predictions : row.targets;
  const std::span<const double> second =
      reverse ? row.targets : row.predictions;
  for (size_t k = 0; k < first.size(); ++k) {
    if (kind == Kind::kJensenShannon) break;
    if (!std::isfinite(first[k]) || std::isfinite(second[k])) continue;
    return Offence{reverse ? Tensor::kTargets : Tensor::kPredictions, k,
                   reverse ? "-inf for a class that the student has"
                           : "-inf for a class that the teacher has",
                   "logits by which each class of the one is possible for the "
                   "other: the loss would be infinite"};
  }
  return std::nullopt;
}

}  // namespace

LossKernel TeacherDivergenceKernel(const TeacherDivergenceOptions& options) {
  LossKernel kernel;
  kernel.traits.double_only = true;
  RowwiseKernel rows;
  rows.run_double = [options](const RowwiseArgs<double>& args) {
    return HWY_DYNAMIC_DISPATCH(Run)(options, args);
  };
  rows.explain = [options](const RowView& row) {
    return Explain(options.kind, row);
  };
  kernel.engine = std::move(rows);
  return kernel;
}

}  // namespace lossd
#endif  // HWY_ONCE
