#include "lib/kernels/cross_entropy.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <string>

#include "lib/core/scratch.h"
#include "lib/core/sum.h"
#include "lib/core/violation.h"
#include "lib/kernels/indexed_targets.h"
#include "lib/kernels/labels.h"
#include "lib/kernels/logarithms.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "lib/kernels/cross_entropy.cc"
#include "hwy/foreach_target.h"  // IWYU pragma: keep
// Only after foreach_target.h:
#include "hwy/highway.h"
#include "lib/kernels/clipped_probabilities-inl.h"
#include "lib/kernels/cross_entropy-inl.h"
#include "lib/kernels/few_classes-inl.h"
#include "lib/kernels/logits-inl.h"

HWY_BEFORE_NAMESPACE();
namespace lossd {
namespace HWY_NAMESPACE {
namespace {

template <class T>
HWY_INLINE bool RunRow(const CrossEntropyOptions& options, const T* row,
                       size_t columns, const RowTarget<T>& target, double scale,
                       double sum_tolerance, T* gradient, bool stream,
                       T* scratch, double* loss, int64_t* clipped) {
  switch (options.prediction_kind) {
    case PredictionKind::kLogits:
      return LogitsRow(options, row, columns, target, scale, gradient, stream,
                       scratch, loss);
    case PredictionKind::kProbabilities:
      if constexpr (std::is_same_v<T, double>) {
        return options.semantics == Semantics::kStrict
                   ? ProbabilitiesRow(options, row, columns, target, scale,
                                      sum_tolerance, gradient, loss)
                   : UncheckedProbabilitiesRow(options, row, columns, target,
                                               scale, gradient, loss, clipped);
      }
      return false;
    case PredictionKind::kLogProbabilities:
      return LogProbabilitiesRow(options.semantics, row, columns, target, scale,
                                 gradient, loss);
    case PredictionKind::kUnspecified:
      return false;
  }
  return false;
}

// All rows of a block, with what they work in.
template <class T>
class Rows {
 public:
  Rows(const CrossEntropyOptions& options, const RowwiseArgs<T>& args)
      : options_(options),
        args_(args),
        columns_(args.columns),
        room_((columns_ + kSumLanes - 1) / kSumLanes * kSumLanes),
        memory_(ScratchUse::kKernel, 5 * room_),
        outcome_{args.rows, 0} {}

  HWY_INLINE RowwiseOutcome Run() {
    if (HasFewClasses(options_, args_)) {
      if (args_.labels != nullptr) {
        RunGroups<true>();
      } else {
        RunGroups<false>();
      }
    } else {
      for (size_t i = 0; i < args_.rows; ++i) RunAny(i);
    }
    if (args_.stream) hwy::FlushStream();
    if (args_.diagnostics != nullptr) Diagnose();
    return outcome_;
  }

 private:
  // Few classes, many rows at once.
  template <bool kLabels>
  HWY_INLINE void RunGroups() {
    FewClassesEngine<kLabels, T>(args_).Run([this](size_t i) HWY_ATTR {
      // What has no finite result, the kernel of single rows propagates.
      if (args_.propagate) {
        RunAny(i);
      } else {
        Refuse(i);
      }
    });
  }

  HWY_INLINE void RunAny(size_t i) {
    T* const gradient =
        args_.gradients[0] ? args_.gradients[0] + i * columns_ : nullptr;
    args_.row_losses[i] = 0;
    if (args_.active[i]) {
      if (!RunOne(i, gradient)) Refuse(i);
    } else if (gradient) {
      std::fill_n(gradient, columns_, T{0});
    }
  }

  void Refuse(size_t i) { outcome_.refused = std::min(outcome_.refused, i); }

  T* Memory(size_t nth) const { return memory_.data() + nth * room_; }

  PlainTarget<T> Plain(size_t i, int64_t label) const {
    if (args_.labels) return {label, nullptr, nullptr, 0};
    const size_t count = args_.targets_per_row;
    return {-1, args_.targets + i * count,
            args_.indices ? args_.indices + i * count : nullptr, count};
  }

  // The completed targets of weights at indices, into Memory(1).
  bool Scatter(const PlainTarget<T>& plain) const {
    return ScatterTargets(options_.tail_policy, plain.weights, plain.indices,
                          plain.count, columns_, Memory(1));
  }

  HWY_INLINE bool Prepare(const PlainTarget<T>& plain, bool any_mass,
                          RowTarget<T>* target) {
    const T* dense = plain.weights;
    CrossEntropyOptions options = options_;
    options.any_mass = any_mass;
    if (plain.indices != nullptr) {
      // Weights of one class add up, to any number.
      options.any_mass = true;
      if (!Scatter(plain)) return false;
      dense = Memory(1);
    }
    const size_t label =
        dense == nullptr ? static_cast<size_t>(plain.label) : 0;
    return PrepareTarget(options, dense, label, columns_, args_.column,
                         RowTargetScratch<T>{Memory(1), Memory(2)}, target);
  }

  HWY_INLINE bool RunOne(size_t i, T* gradient) {
    // Read once: a caller that shares memory may change it after the check.
    const int64_t label = args_.labels ? args_.labels[i] : 0;
    if (label < 0 || static_cast<uint64_t>(label) >= columns_) return false;
    const PlainTarget<T> plain = Plain(i, label);
    RowTarget<T> target;
    if (!Prepare(plain, false, &target)) return false;
    const T* const row = Transformed(i);
    double* const loss = args_.row_losses + i;
    const double scale = options_.factor * args_.scales[i];
    const auto run = [&]() HWY_ATTR {
      return RunRow(options_, row, columns_, target, scale,
                    ProbabilitySumTolerance(args_.half_predictions), gradient,
                    args_.stream, Memory(0), loss, &outcome_.clipped);
    };
    bool allowed = run();
    if (!allowed && args_.propagate && !target.scanned) {
      // Targets out of their range, with which the loss is computed all the
      // same.
      target = {};
      allowed = Prepare(plain, true, &target) && run();
    }
    if (transforms() && gradient != nullptr) {
      for (size_t k = 0; k < columns_; ++k) gradient[k] *= Memory(4)[k];
    }
    *loss *= options_.factor;
    if (!allowed && args_.propagate) {
      *loss = std::numeric_limits<double>::quiet_NaN();
      if (gradient) {
        std::fill_n(gradient, columns_, std::numeric_limits<T>::quiet_NaN());
      }
      allowed = true;
    }
    return allowed;
  }

  bool transforms() const {
    return options_.logit_softcap != 0 || options_.temperature != 1;
  }

  // The logits that the loss is of; their derivatives are in Memory(4).
  HWY_INLINE const T* Transformed(size_t i) const {
    const T* const row = args_.predictions + i * columns_;
    if constexpr (std::is_same_v<T, double>) {
      if (transforms()) {
        TransformLogits(options_.logit_softcap, options_.temperature, row,
                        columns_, Memory(3), Memory(4));
        return Memory(3);
      }
    }
    return row;
  }

  HWY_INLINE void Diagnose() const {
    for (size_t i = 0; i < args_.rows; ++i) {
      double* const figures = args_.diagnostics + i;
      const int64_t label = args_.labels ? args_.labels[i] : 0;
      const bool known = label >= 0 && static_cast<uint64_t>(label) < columns_;
      if (!args_.active[i] || !known) continue;
      PlainTarget<T> plain = Plain(i, label);
      if (plain.indices != nullptr) {
        if (!Scatter(plain)) continue;
        plain = {-1, Memory(1), nullptr, columns_};
      }
      // Not the transformed logits, which may tie where these do not.
      figures[0] = IsRight(args_.predictions + i * columns_, columns_, plain);
      if (options_.prediction_kind != PredictionKind::kLogits) continue;
      const SoftmaxFigures softmax =
          FiguresOfSoftmax(Transformed(i), columns_, plain);
      figures[args_.rows] = softmax.entropy;
      figures[2 * args_.rows] = softmax.surprisal;
      figures[3 * args_.rows] = softmax.target_probability;
    }
  }

  const CrossEntropyOptions& options_;
  const RowwiseArgs<T>& args_;
  const size_t columns_;
  // Elements of a row, rounded up to whole chunks.
  const size_t room_;
  const Scratch<T> memory_;
  RowwiseOutcome outcome_;
};

RowwiseOutcome RunFloat(const CrossEntropyOptions& options,
                        const RowwiseArgs<float>& args) {
  return Rows<float>(options, args).Run();
}

RowwiseOutcome RunDouble(const CrossEntropyOptions& options,
                         const RowwiseArgs<double>& args) {
  return Rows<double>(options, args).Run();
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

std::optional<Offence> ExplainProbabilities(Row predictions, bool half) {
  for (size_t k = 0; k < predictions.size(); ++k) {
    if (predictions[k] >= 0 && predictions[k] <= 1) continue;
    return InPredictions(k, NumberText(predictions[k]),
                         "probabilities in [0, 1]; if these are logits, set "
                         "prediction_kind to LOGITS");
  }
  // In the kernel's order: a row at the tolerance is refused by both.
  const double sum = LaneSum(predictions);
  const double tolerance = ProbabilitySumTolerance(half);
  if (std::abs(sum - 1) <= tolerance) return std::nullopt;
  return InPredictions(0, "a row that sums to " + NumberText(sum),
                       "rows that sum to 1 within " + NumberText(tolerance));
}

// Of the classes of top-k targets; those without weight are padding.
std::optional<Offence> ExplainIndices(const RowView& row) {
  const auto classes = static_cast<int64_t>(row.predictions.size());
  for (size_t k = 0; k < row.indices.size(); ++k) {
    const double weight = row.targets[k];
    if (!(weight >= 0) || !std::isfinite(weight)) {
      return Offence{Offence::Tensor::kTargets, k, NumberText(weight),
                     "weights that are finite and >= 0"};
    }
    const int64_t index = row.indices[k];
    if (weight == 0 || (index >= 0 && index < classes)) continue;
    return Offence{Offence::Tensor::kIndices, k, std::to_string(index),
                   "classes 0 to " + std::to_string(classes - 1) +
                       " wherever there is weight"};
  }
  return std::nullopt;
}

double MassOf(const CrossEntropyOptions& options, const RowView& row,
              size_t k) {
  if (row.label) return static_cast<size_t>(*row.label) == k ? 1 : 0;
  if (row.indices.empty()) {
    return options.log_targets ? std::exp(row.targets[k]) : row.targets[k];
  }
  double mass = 0;
  for (size_t i = 0; i < row.indices.size(); ++i) {
    if (row.indices[i] == static_cast<int64_t>(k)) mass += row.targets[i];
  }
  return mass;
}

std::optional<Offence> Explain(const CrossEntropyOptions& options,
                               const RowView& row) {
  const Row predictions = row.predictions;
  const size_t columns = predictions.size();
  if (auto offence = ExplainLabel(row)) return offence;
  if (!row.indices.empty()) {
    if (auto offence = ExplainIndices(row)) return offence;
  } else if (auto offence = ExplainTargets(options, row.targets)) {
    return offence;
  }
  const bool probabilities =
      options.prediction_kind == PredictionKind::kProbabilities;
  if (auto offence =
          probabilities
              ? ExplainProbabilities(predictions, row.half_predictions)
              : ExplainLogarithms(
                    predictions,
                    options.prediction_kind == PredictionKind::kLogits,
                    Offence::Tensor::kPredictions)) {
    return offence;
  }
  const double impossible =
      probabilities ? 0 : -std::numeric_limits<double>::infinity();
  for (size_t k = 0; k < columns; ++k) {
    double mass = MassOf(options, row, k) + options.label_smoothing;
    if (!row.column.empty()) mass *= row.column[k];
    if (predictions[k] != impossible || !(mass > 0)) continue;
    return InPredictions(k,
                         NumberText(impossible) + " where the target has mass",
                         "classes that are possible wherever the target has "
                         "mass: the loss would be infinite");
  }
  return std::nullopt;
}

}  // namespace

LossKernel CrossEntropyKernel(const CrossEntropyOptions& options) {
  const bool logits = options.prediction_kind == PredictionKind::kLogits;
  LossTraits traits;
  traits.logits = logits;
  // float32 would lose digits: terms of divergences cancel, probabilities are
  // renormalised, and a logit that was rounded moves its exponential by as
  // much as it is large.
  traits.double_only =
      options.divergence || options.logit_softcap != 0 ||
      options.temperature != 1 ||
      options.prediction_kind == PredictionKind::kProbabilities;
  traits.diagnostics = {{"accuracy"}};
  if (logits) {
    traits.diagnostics.push_back({"entropy"});
    traits.diagnostics.push_back(
        {"perplexity", DiagnosticInfo::Combine::kExpOfMean});
    traits.diagnostics.push_back({"mean_target_probability"});
  }
  return {
      std::move(traits),
      RowwiseKernel{
          .run_float =
              [options](const RowwiseArgs<float>& args) {
                return HWY_DYNAMIC_DISPATCH(RunFloat)(options, args);
              },
          .run_double =
              [options](const RowwiseArgs<double>& args) {
                return HWY_DYNAMIC_DISPATCH(RunDouble)(options, args);
              },
          .explain =
              [options](const RowView& row) { return Explain(options, row); }}};
}

}  // namespace lossd
#endif  // HWY_ONCE
