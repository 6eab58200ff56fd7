#include "lib/kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>

#include "lib/core/scratch.h"
#include "lib/core/sum.h"
#include "lib/core/violation.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/kernels/cross_entropy.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/cross_entropy-inl.h"
#include "lib/kernels/few_classes-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
HWY_INLINE bool RunRow(const CrossEntropyOptions& options, const T* row,
                       size_t columns, const RowTarget<T>& target, double scale,
                       T* gradient, bool stream, T* scratch, double* loss) {
  switch (options.prediction_kind) {
    case PredictionKind::kLogits:
      return LogitsRow(options, row, columns, target, scale, gradient, stream,
                       scratch, loss);
    case PredictionKind::kProbabilities:
      if constexpr (std::is_same_v<T, double>) {
        return ProbabilitiesRow(options, row, columns, target, scale, gradient,
                                loss);
      }
      return false;
    case PredictionKind::kLogProbabilities:
      return LogProbabilitiesRow(row, columns, target, scale, gradient, loss);
    case PredictionKind::kUnspecified:
      return false;
  }
  return false;
}

template <class T>
HWY_INLINE size_t RunRows(const CrossEntropyOptions& options,
                          const RowwiseArgs<T>& args) {
  if (HasFewClasses(options, args)) {
    return args.labels != nullptr ? FewClassesEngine<true, T>(args).Run()
                                  : FewClassesEngine<false, T>(args).Run();
  }
  const size_t columns = args.columns;
  const size_t room = (columns + kSumLanes - 1) / kSumLanes * kSumLanes;
  const Scratch<T> memory(ScratchUse::kKernel, 3 * room);
  T* const scratch = memory.data();
  size_t refused = args.rows;
  for (size_t i = 0; i < args.rows; ++i) {
    T* const gradient = args.gradient ? args.gradient + i * columns : nullptr;
    args.row_losses[i] = 0;
    if (!args.active[i]) {
      if (gradient) std::fill_n(gradient, columns, T{0});
      continue;
    }
    // Read once: a caller that shares memory may change it after the check.
    const int64_t label = args.labels ? args.labels[i] : 0;
    bool allowed = label >= 0 && static_cast<uint64_t>(label) < columns;
    RowTarget<T> target;
    if (allowed) {
      allowed = PrepareTarget(
          options, args.targets ? args.targets + i * columns : nullptr,
          static_cast<size_t>(label), columns, args.column,
          RowTargetScratch<T>{scratch + room, scratch + 2 * room}, &target);
    }
    if (allowed) {
      allowed = RunRow(options, args.predictions + i * columns, columns, target,
                       args.scales[i], gradient, args.stream, scratch,
                       &args.row_losses[i]);
    }
    if (!allowed && refused == args.rows) refused = i;
  }
  if (args.stream) hwy::FlushStream();
  return refused;
}

size_t RunFloat(const CrossEntropyOptions& options,
                const RowwiseArgs<float>& args) {
  return RunRows(options, args);
}

size_t RunDouble(const CrossEntropyOptions& options,
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

using Row = std::span<const double>;

Offence InPredictions(size_t column, std::string got, std::string allowed) {
  return {Offence::Tensor::kPredictions, column, std::move(got),
          std::move(allowed)};
}

std::optional<Offence> ExplainTargets(const CrossEntropyOptions& options,
                                      Row targets) {
  for (size_t k = 0; k < targets.size(); ++k) {
    const double t = targets[k];
    const bool allowed = options.log_targets
                             ? t <= kTargetTolerance
                             : t >= 0 && t <= 1 + kTargetTolerance;
    if (allowed) continue;
    return Offence{Offence::Tensor::kTargets, k, NumberText(t),
                   options.log_targets ? "log-probabilities <= 0, -inf for 0"
                                       : "in [0, 1]"};
  }
  return std::nullopt;
}

std::optional<Offence> ExplainProbabilities(Row predictions) {
  for (size_t k = 0; k < predictions.size(); ++k) {
    if (predictions[k] >= 0 && predictions[k] <= 1) continue;
    return InPredictions(k, NumberText(predictions[k]),
                         "probabilities in [0, 1]; if these are logits, set "
                         "prediction_kind to LOGITS");
  }
  // In the kernel's order: a row at the tolerance is refused by both.
  const double sum = LaneSum(predictions);
  if (std::abs(sum - 1) <= kProbabilitySumTolerance) return std::nullopt;
  return InPredictions(
      0, "a row that sums to " + NumberText(sum),
      "rows that sum to 1 within " + NumberText(kProbabilitySumTolerance));
}

std::optional<Offence> ExplainLogarithms(Row predictions, bool logits) {
  bool possible = !logits;
  for (size_t k = 0; k < predictions.size(); ++k) {
    const double x = predictions[k];
    if (!(x < std::numeric_limits<double>::infinity())) {
      return InPredictions(k, NumberText(x),
                           "finite, or -inf for an impossible class");
    }
    possible |= std::isfinite(x);
  }
  if (possible) return std::nullopt;
  return InPredictions(0, "a row of -inf only", "a possible class in each row");
}

std::optional<Offence> Explain(const CrossEntropyOptions& options,
                               Row predictions, Row targets,
                               std::optional<int64_t> label, Row weights) {
  const size_t columns = predictions.size();
  if (label && (*label < 0 || static_cast<uint64_t>(*label) >= columns)) {
    return Offence{
        Offence::Tensor::kTargets, 0, "label " + std::to_string(*label),
        "0 to " + std::to_string(columns - 1) + " for " +
            std::to_string(columns) + " classes: labels are 0-based"};
  }
  if (auto offence = ExplainTargets(options, targets)) return offence;
  const bool probabilities =
      options.prediction_kind == PredictionKind::kProbabilities;
  if (auto offence =
          probabilities
              ? ExplainProbabilities(predictions)
              : ExplainLogarithms(predictions, options.prediction_kind ==
                                                   PredictionKind::kLogits)) {
    return offence;
  }
  const double impossible =
      probabilities ? 0 : -std::numeric_limits<double>::infinity();
  for (size_t k = 0; k < columns; ++k) {
    double mass = label ? double(static_cast<size_t>(*label) == k)
                  : options.log_targets ? std::exp(targets[k])
                                        : targets[k];
    mass += options.label_smoothing;
    if (!weights.empty()) mass *= weights[k];
    if (predictions[k] != impossible || !(mass > 0)) continue;
    return InPredictions(k,
                         NumberText(impossible) + " where the target has mass",
                         "classes that are possible wherever the target has "
                         "mass: the loss would be infinite");
  }
  return std::nullopt;
}

}  // namespace

RowwiseKernel CrossEntropyKernel(const CrossEntropyOptions& options) {
  RowwiseKernel kernel;
  kernel.run_float = [options](const RowwiseArgs<float>& args) {
    return HWY_DYNAMIC_DISPATCH(RunFloat)(options, args);
  };
  kernel.run_double = [options](const RowwiseArgs<double>& args) {
    return HWY_DYNAMIC_DISPATCH(RunDouble)(options, args);
  };
  kernel.explain = [options](Row predictions, Row targets,
                             std::optional<int64_t> label, Row weights) {
    return Explain(options, predictions, targets, label, weights);
  };
  kernel.double_only = options.divergence || options.prediction_kind ==
                                                 PredictionKind::kProbabilities;
  return kernel;
}

}  // namespace lossd
#endif  // HWY_ONCE
