#include "lib/compute.h"

#include <utility>

#include "lib/core/float_mode.h"
#include "lib/core/parallel_for.h"
#include "lib/core/phases.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"
#include "lib/plan.h"
#include "lib/result.h"

namespace lossd {

struct Computation::State : Phases {
  explicit State(Problem planned) : Phases(std::move(planned)) {
    weights.MakeRoom(weights.blocks());
    pass->MakeRoom(pass->blocks());
  }
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
  LOSSD_RETURN_IF_ERROR(state_->weights.Check(0, weigh_blocks()));
  state_->FinishWeighing();
  return absl::OkStatus();
}

size_t Computation::blocks() const { return state_->pass->blocks(); }

void Computation::RunBlock(size_t block) {
  const DefaultFloatMode mode;
  state_->pass->RunBlock(block);
}

absl::StatusOr<LossResult> Computation::Finish() {
  const DefaultFloatMode mode;
  if (const auto violation = state_->pass->Violation(0, blocks())) {
    return InvalidField(*violation);
  }
  state_->pass->CompleteRows(0, blocks());
  return MakeResult(state_->problem, state_->weights, state_->pass->Finish());
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
