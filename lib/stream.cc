#include "lib/stream.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "lib/core/float_mode.h"
#include "lib/core/phases.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"
#include "lib/plan.h"
#include "lib/result.h"

namespace lossd {
namespace {

absl::Status CheckSeparable(const Problem& problem) {
  if (problem.traits().layout != RowLayout::kWhole) return absl::OkStatus();
  return InvalidField({"options.scope", std::nullopt, "BATCH",
                       "SAMPLE in a stream: no row's gradient would be known "
                       "before the last row"});
}

}  // namespace

struct StreamComputation::State : Phases {
  using Phases::Phases;

  // What the first phase found out too late.
  absl::Status CheckLate(size_t begin, size_t end) const {
    if (problem.in_double || weights.ScalesFitFloat(begin, end)) {
      return absl::OkStatus();
    }
    return InvalidField(
        {"sample_weights.data", std::nullopt,
         "factors of gradients that float32 cannot hold",
         "these, if the tensors that weight rows come before all others"});
  }

  std::vector<std::string_view> differentiable;
  // Places of their gradients in the problem.
  std::vector<size_t> places;
  size_t weighed = 0;
  size_t weigh_end = 0;
  size_t ran = 0;
  size_t block_end = 0;
  // Blocks of the second phase run beside those of the first.
  bool late = false;
  bool unscaled = false;
  std::optional<double> gradient_scale;
};

StreamComputation::StreamComputation(std::unique_ptr<State> state)
    : state_(std::move(state)) {}
StreamComputation::StreamComputation(StreamComputation&&) noexcept = default;
StreamComputation& StreamComputation::operator=(StreamComputation&&) noexcept =
    default;
StreamComputation::~StreamComputation() = default;

absl::StatusOr<StreamComputation> StreamComputation::Plan(
    const LossSpec& spec, const Inputs& inputs, const StreamOutputs& outputs) {
  const DefaultFloatMode mode;
  Outputs planned;
  planned.gradient_dtype = outputs.gradient_dtype;
  planned.diagnostics = outputs.diagnostics;
  absl::StatusOr<Problem> problem = PlanProblem(spec, inputs, planned);
  if (!problem.ok()) return problem.status();
  LOSSD_RETURN_IF_ERROR(CheckSeparable(*problem));
  problem->wants_row_losses = outputs.row_losses;
  problem->row_losses.dtype = Dtype::kFloat64;
  auto state = std::make_unique<State>(*std::move(problem));
  const auto& extras = state->problem.traits().extras;
  size_t place = 0;
  for (size_t k = 0; k < extras.size(); ++k) {
    if (!extras[k].differentiable) continue;
    ++place;
    if (!outputs.gradient || !state->problem.extras[k]) continue;
    // Those of `inputs` live as long as they do, those of the traits do not.
    const auto given = std::ranges::find(inputs.extra_inputs, extras[k].name,
                                         &NamedTensor::name);
    state->differentiable.push_back(given->name);
    state->places.push_back(place);
    state->problem.gradients[place].dtype = state->problem.gradients[0].dtype;
  }
  if (state->weights.blocks() == 0) state->FinishWeighing();
  return StreamComputation(std::move(state));
}

size_t StreamComputation::rows() const { return state_->problem.rows; }

size_t StreamComputation::columns() const { return state_->problem.columns; }

size_t StreamComputation::blocks() const { return state_->pass->blocks(); }

size_t StreamComputation::block_elements() const {
  return state_->problem.rowwise() != nullptr
             ? RowsPerBlock(columns()) * columns()
             : kBlockElements;
}

size_t StreamComputation::weigh_blocks() const {
  return state_->weights.blocks();
}

size_t StreamComputation::weigh_rows() const {
  return state_->weights.rows_per_block();
}

bool StreamComputation::Weighs(std::string_view input) const {
  if (weigh_blocks() == 0) return false;
  const Problem& problem = state_->problem;
  if (input == "targets" || input == "target_indices") {
    return problem.traits().ignore_index.has_value() ||
           (problem.rowwise() != nullptr && !problem.column.empty());
  }
  return input == "sample_weights" || input == "mask" ||
         input == "upstream_gradient";
}

const std::vector<std::string_view>& StreamComputation::differentiable() const {
  return state_->differentiable;
}

Dtype StreamComputation::gradient_dtype() const {
  return state_->problem.gradients[0].dtype;
}

size_t StreamComputation::ran() const { return state_->ran; }

size_t StreamComputation::weighed() const { return state_->weighed; }

size_t StreamComputation::ElementsAfter(size_t blocks) const {
  return std::min(blocks * block_elements(), elements());
}

size_t StreamComputation::RowsAfter(size_t blocks) const {
  return ElementsAfter(blocks) / columns();
}

void StreamComputation::BeginStep(size_t weigh_end, size_t block_end,
                                  const StepOutputs& outputs) {
  State& state = *state_;
  const DefaultFloatMode mode;
  if (block_end > 0 && !state.late && state.weighed < weigh_blocks()) {
    state.late = true;
    state.unscaled = !state.weights.FinishLater();
  }
  state.weigh_end = weigh_end;
  state.block_end = block_end;
  state.weights.MakeRoom(weigh_end);
  state.pass->MakeRoom(block_end);
  const auto set = [](OutputRun& run, std::span<std::byte> data, size_t first) {
    run.data = data;
    run.first = first;
  };
  const size_t first = ElementsAfter(state.ran);
  set(state.problem.gradients[0], outputs.gradient, first);
  for (size_t i = 0; i < state.places.size(); ++i) {
    set(state.problem.gradients[state.places[i]], outputs.extra_gradients[i],
        first);
  }
  set(state.problem.row_losses, outputs.row_losses, RowsAfter(state.ran));
}

size_t StreamComputation::units() const {
  return (state_->weigh_end - state_->weighed) +
         (state_->block_end - state_->ran);
}

void StreamComputation::RunUnit(size_t unit) {
  const DefaultFloatMode mode;
  const size_t weigh_units = state_->weigh_end - state_->weighed;
  if (unit < weigh_units) {
    state_->weights.RunBlock(state_->weighed + unit);
  } else {
    state_->pass->RunBlock(state_->ran + unit - weigh_units);
  }
}

absl::Status StreamComputation::FinishStep() {
  State& state = *state_;
  const DefaultFloatMode mode;
  LOSSD_RETURN_IF_ERROR(state.weights.Check(state.weighed, state.weigh_end));
  if (state.late) {
    LOSSD_RETURN_IF_ERROR(state.CheckLate(state.weighed, state.weigh_end));
  }
  if (const auto violation =
          state.pass->Violation(state.ran, state.block_end)) {
    return InvalidField(*violation);
  }
  state.pass->CompleteRows(state.ran, state.block_end);
  const bool all_weighed = state.weigh_end == weigh_blocks();
  if (!state.late && all_weighed && state.weighed < state.weigh_end) {
    state.FinishWeighing();
  }
  state.weighed = state.weigh_end;
  state.ran = state.block_end;
  return absl::OkStatus();
}

absl::StatusOr<LossResult> StreamComputation::Finish() {
  State& state = *state_;
  const DefaultFloatMode mode;
  if (state.late) {
    state.weights.Finish();
    // By the divisor that is known now, Compute would have chosen float64.
    LOSSD_RETURN_IF_ERROR(state.CheckLate(0, weigh_blocks()));
  }
  const double normalizer = state.weights.normalizer();
  if (state.unscaled) {
    state.gradient_scale =
        normalizer == 0 || !std::isfinite(normalizer) ? 0.0 : 1 / normalizer;
  }
  return MakeResult(state.problem, state.weights, state.pass->Finish());
}

std::optional<double> StreamComputation::gradient_scale() const {
  return state_->gradient_scale;
}

}  // namespace lossd
