#include "lib/compute.h"

#include <cmath>
#include <limits>
#include <utility>

#include "lib/core/float_mode.h"
#include "lib/core/parallel_for.h"
#include "lib/core/pass.h"
#include "lib/core/row_weights.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"
#include "lib/plan.h"

namespace lossd {

namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

absl::Status CheckFinite(const Problem& problem, const LossResult& result) {
  if (!std::isfinite(result.weight_sum)) {
    return InvalidField({"sample_weights.data", std::nullopt,
                         "weights whose sum overflows float64",
                         "weights with a finite sum, class weights included"});
  }
  if (problem.reduction == Reduction::kWeightedMean && result.normalizer == 0 &&
      result.loss_sum != 0) {
    return InvalidField({"reduction", std::nullopt,
                         "WEIGHTED_MEAN of weights whose sum is 0",
                         "weights whose sum is > 0 where a row has a loss"});
  }
  if (!std::isfinite(result.loss_sum) || std::isinf(result.loss)) {
    return InvalidField({"predictions.data", std::nullopt,
                         "losses whose sum overflows float64",
                         "rows whose weighted losses have a finite sum"});
  }
  return absl::OkStatus();
}

}  // namespace

struct Computation::State {
  explicit State(Problem planned)
      : problem(std::move(planned)),
        weights(problem),
        pass(problem.rowwise() != nullptr
                 ? MakeRowwisePass(problem, weights)
                 : MakeElementwisePass(problem, weights)) {}

  Problem problem;
  RowWeights weights;
  std::unique_ptr<Pass> pass;
};

Computation::Computation(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
Computation::Computation(Computation&&) noexcept = default;
Computation& Computation::operator=(Computation&&) noexcept = default;
Computation::~Computation() = default;

absl::StatusOr<Computation> Computation::Plan(const LossSpec& spec,
                                              const Inputs& inputs,
                                              const Outputs& outputs) {
  const DefaultFloatMode mode;
  absl::StatusOr<Problem> problem = PlanProblem(spec, inputs, outputs);
  if (!problem.ok()) return problem.status();
  return Computation(std::make_unique<State>(*std::move(problem)));
}

size_t Computation::weigh_blocks() const { return state_->weights.blocks(); }

void Computation::WeighBlock(size_t block) {
  const DefaultFloatMode mode;
  state_->weights.RunBlock(block);
}

absl::Status Computation::FinishWeighing() {
  const DefaultFloatMode mode;
  LOSSD_RETURN_IF_ERROR(state_->weights.Finish());
  state_->problem.in_double |= !state_->weights.scales_fit_float();
  return absl::OkStatus();
}

size_t Computation::blocks() const { return state_->pass->blocks(); }

void Computation::RunBlock(size_t block) {
  const DefaultFloatMode mode;
  state_->pass->RunBlock(block);
}

absl::StatusOr<LossResult> Computation::Finish() {
  const DefaultFloatMode mode;
  if (const auto violation = state_->pass->Violation()) {
    return InvalidField(*violation);
  }
  const Problem& problem = state_->problem;
  const RowWeights& weights = state_->weights;
  PassTotals totals = state_->pass->Finish();
  LossResult result;
  result.loss_sum = totals.loss_sum;
  result.weight_sum = weights.weight_sum();
  result.normalizer = weights.normalizer();
  result.row_count = weights.row_count();
  result.masked_count = weights.masked_count();
  result.ignored_count = weights.ignored_count();
  result.clipped_count = totals.clipped_count;
  result.reduction = problem.reduction;
  result.diagnostics = std::move(totals.diagnostics);
  result.warnings = std::move(totals.warnings);
  const bool divides = problem.reduction != Reduction::kNone;
  if (divides && result.normalizer != 0) {
    result.loss = result.loss_sum / result.normalizer;
  } else if (!divides || problem.semantics == Semantics::kPytorch) {
    result.loss = kNan;
  }
  if (!problem.propagate()) LOSSD_RETURN_IF_ERROR(CheckFinite(problem, result));
  if (problem.rowwise() != nullptr && problem.columns == 1 &&
      problem.rows > 0 && problem.traits().targets == TargetsRole::kLabels) {
    result.warnings.push_back(
        "there is only one class: the loss of every row says nothing");
  }
  return result;
}

absl::StatusOr<LossResult> Computation::Run(int max_threads) {
  // Waking a team costs more than the blocks of a few tensors do.
  constexpr size_t kBytesWorthATeam = size_t{256} << 10;
  const Problem& problem = state_->problem;
  const size_t bytes = problem.predictions.data.size() +
                       problem.targets.data.size() +
                       problem.gradients[0].data.size();
  const int threads = bytes < kBytesWorthATeam ? 1 : max_threads;
  ParallelFor(weigh_blocks(), threads, [&](size_t i) { WeighBlock(i); });
  LOSSD_RETURN_IF_ERROR(FinishWeighing());
  ParallelFor(blocks(), threads, [&](size_t i) { RunBlock(i); });
  return Finish();
}

absl::StatusOr<LossResult> Compute(const LossSpec& spec, const Inputs& inputs,
                                   const Outputs& outputs, int max_threads) {
  absl::StatusOr<Computation> computation =
      Computation::Plan(spec, inputs, outputs);
  if (!computation.ok()) return computation.status();
  return computation->Run(max_threads);
}

}  // namespace lossd
