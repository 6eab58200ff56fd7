// A loss over tensors that come and go piece by piece.

#ifndef LOSSD_LIB_STREAM_H_
#define LOSSD_LIB_STREAM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/compute.h"

namespace lossd {

// What is wanted besides the loss.
struct StreamOutputs {
  // Of the predictions, and of every extra input given that has one.
  bool gradient = false;
  // As in Outputs.
  Dtype gradient_dtype = Dtype::kUnspecified;
  bool row_losses = false;
  bool diagnostics = false;
};

// Memory for the outputs of a step, of the sizes that the step has. Empty for
// what is not wanted.
struct StepOutputs {
  std::span<std::byte> gradient;
  // In the order of StreamComputation::differentiable().
  std::array<std::span<std::byte>, 2> extra_gradients;
  std::span<std::byte> row_losses;
};

// A Computation whose inputs may be windows (lib/core/bytes.h): its blocks run
// in steps, in order, each when the owner has what they read. The bits are
// those of Computation, however the steps are cut.
//
//   auto stream = StreamComputation::Plan(spec, inputs, outputs);
//   stream->BeginStep(weigh_end, block_end, memory);
//   for (size_t i = 0; i < stream->units(); ++i) stream->RunUnit(i);
//   absl::Status fine = stream->FinishStep();
//   ... until all blocks have run
//   absl::StatusOr<LossResult> result = stream->Finish();
//
// If all blocks of the first phase have run before the first of the second one,
// gradients are those of Computation. Else the two go side by side, and where
// the normalizer needs the first phase, gradients lack a factor that is known
// at the end.
//
// Units of a step may run at the same time; all else is for one thread. Windows
// move between steps; rows of the weighed tensors are needed until they are
// weighed, and rows that are not yet complete until they are.
class StreamComputation {
 public:
  // As Computation::Plan. Inputs that are read while planning must be whole;
  // INVALID_ARGUMENT also for losses that couple all rows.
  static absl::StatusOr<StreamComputation> Plan(const LossSpec& spec,
                                                const Inputs& inputs,
                                                const StreamOutputs& outputs);
  StreamComputation(StreamComputation&&) noexcept;
  StreamComputation& operator=(StreamComputation&&) noexcept;
  ~StreamComputation();

  // The predictions are `rows` times `columns`. Other inputs have some number
  // of elements for each row, which need not be `columns`.
  size_t rows() const;
  size_t columns() const;
  size_t elements() const { return rows() * columns(); }

  // Block i reads elements [i * block_elements(), (i + 1) * block_elements())
  // of the predictions, and what lies beside them in other inputs: whole rows
  // where those have not `columns` elements a row.
  size_t blocks() const;
  size_t block_elements() const;

  // Rows [i * weigh_rows(), (i + 1) * weigh_rows()) are what block i of the
  // first phase reads. Often 0 blocks.
  size_t weigh_blocks() const;
  size_t weigh_rows() const;
  // Whether the first phase reads this input: "targets", "sample_weights",
  // "mask", "upstream_gradient" or a key of the extra inputs.
  bool Weighs(std::string_view input) const;

  // Extra inputs whose gradients are wanted.
  const std::vector<std::string_view>& differentiable() const;
  Dtype gradient_dtype() const;

  // Blocks that have run.
  size_t ran() const;
  size_t weighed() const;

  // Elements whose gradients are known after `blocks` blocks, and rows whose
  // losses are.
  size_t ElementsAfter(size_t blocks) const;
  size_t RowsAfter(size_t blocks) const;

  // Begins a step: blocks up to these, of each phase. std::bad_alloc.
  void BeginStep(size_t weigh_end, size_t block_end,
                 const StepOutputs& outputs);
  size_t units() const;
  void RunUnit(size_t unit);
  // INVALID_ARGUMENT for elements that are not allowed, naming the first.
  absl::Status FinishStep();

  // When all blocks of both phases have run.
  absl::StatusOr<LossResult> Finish();

  // After Finish: what gradients are to be multiplied with; nothing if they are
  // those of Computation.
  std::optional<double> gradient_scale() const;

 private:
  struct State;
  explicit StreamComputation(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace lossd

#endif  // LOSSD_LIB_STREAM_H_
