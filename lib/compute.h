// The face of the library: computes a loss and its gradient over borrowed
// memory.
//
//   const std::array<int64_t, 1> shape = {4};
//   Inputs inputs{.predictions = {Dtype::kFloat32, shape, bytes_of_p},
//                 .targets = {Dtype::kFloat32, shape, bytes_of_t}};
//   absl::StatusOr<LossResult> result =
//       Compute({.params = HuberParams{.delta = 0.5}}, inputs,
//               {.gradient = bytes_of_g});

#ifndef LOSSD_LIB_COMPUTE_H_
#define LOSSD_LIB_COMPUTE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lib/core/diagnostics.h"
#include "lib/core/spec.h"
#include "lib/core/tensor_view.h"
#include "lib/losses/registry.h"

namespace lossd {

// Which loss, and how it is reduced.
struct LossSpec {
  LossParams params;
  // Unset: kMean; with kPytorch and class_weights beside labels kWeightedMean.
  std::optional<Reduction> reduction;
  // Divisor of kMean instead of the number of rows that count; finite and > 0.
  // Refused with any other reduction.
  std::optional<double> normalizer;
  // Whose conventions decide what the options leave open. For all losses:
  //
  //               kStrict            kPytorch             kKeras
  //   not finite, refused, naming    computed with        computed with
  //   or outside  the element
  //   its domain
  //   a row of an the last axis      every element        the last axis
  //   element-wise
  //   loss
  //   no row      loss 0,            loss NaN for means,  loss 0,
  //   counts      gradient 0         gradient 0           gradient 0
  //
  // Labels that are no class are refused by all. What they decide for one
  // loss, its header says.
  Semantics semantics = Semantics::kStrict;
};

// A tensor of one of the loss's further inputs.
struct NamedTensor {
  std::string_view name;
  TensorView tensor;
};

// What a loss is computed from; everything is borrowed.
struct Inputs {
  // Any float dtype; rank <= 8, and at least 2 for losses over classes.
  TensorView predictions;
  // Shape of the predictions, or, for class labels (int32, int64) and for
  // losses with one target a row, that of the rows. Else any dtype. Left
  // kUnspecified for losses without targets.
  TensorView targets;
  // One weight a row, of any float dtype, finite; shape of the rows: the
  // predictions without the last axis ([n] for predictions of shape [n]),
  // unless the loss or the semantics makes every element a row.
  std::optional<TensorView> sample_weights;
  // One byte a row, 0 or 1, dtype kBool, same shape. A row whose mask is 0
  // adds exactly +0 to every output, whatever it contains.
  std::optional<TensorView> mask;
  // Multiplies gradients only: shape [] or [1], or one a row with kNone;
  // any float dtype, finite.
  std::optional<TensorView> upstream_gradient;
  // As the loss's header says: "class_weights" [C], "variance" of the shape of
  // the predictions; any float dtype. What the loss does not know is refused.
  std::span<const NamedTensor> extra_inputs;
};

// Memory for the gradient of an extra input.
struct NamedOutput {
  std::string_view name;
  std::span<std::byte> data;
};

// Where results are written; the caller's memory at any alignment, which must
// not overlap an input, except that `gradient` may be the predictions exactly
// when both have the same dtype.
struct Outputs {
  // d loss / d predictions, times the upstream gradient. Empty: not wanted,
  // else the exact size: elements of predictions times SizeOf(gradient_dtype).
  std::span<std::byte> gradient;
  // Of all gradients: any float dtype; kUnspecified means that of the
  // predictions. Rounded once, to nearest even.
  Dtype gradient_dtype = Dtype::kUnspecified;
  // d loss / d extra input, for inputs that have one (ShapesOfOutputs); same
  // size. Wanted only together with `gradient`.
  std::span<const NamedOutput> extra_gradients;
  // weight * row loss, float64, one a row, 0 where masked or ignored. Empty:
  // not wanted, else rows * 8 bytes.
  std::span<std::byte> row_losses;
  // Fill in LossResult::diagnostics and look for what deserves a warning.
  bool diagnostics = false;
};

// What is known when a loss has been computed.
struct LossResult {
  // loss_sum / normalizer; NaN for kNone; 0 when normalizer is 0.
  double loss = 0;
  // Sum over rows that count of weight * row loss.
  double loss_sum = 0;
  // Sum over rows that count of weight * class weight.
  double weight_sum = 0;
  // The divisor: 1 for kNone and kSum; for kMean the number of rows that count
  // or the caller's; for kWeightedMean weight_sum; for kBatchMean the size of
  // the first axis. 0 when there is nothing to divide by.
  double normalizer = 1;
  // Rows neither masked nor ignored.
  int64_t row_count = 0;
  int64_t masked_count = 0;
  // Rows not masked whose label is ignore_index.
  int64_t ignored_count = 0;
  // Elements whose value was clipped: none in kStrict.
  int64_t clipped_count = 0;
  // The one that was in force.
  Reduction reduction = Reduction::kMean;
  // Figures by name, when asked for: gradient_l2_norm and gradient_max_norm
  // (of the gradient of the predictions, if it was wanted), non_finite_count
  // and clipped_count (of predictions), and those that the loss's header
  // names. Shares and means are over the rows that count, without weights.
  std::vector<Diagnostic> diagnostics;
  // What looks wrong without being an error, for people.
  std::vector<std::string> warnings;
};

// What a caller must know to make room for outputs.
struct OutputShapes {
  // Of what there is one of for each row.
  std::vector<int64_t> rows;
  // The extra inputs among those given that have a gradient, which has the
  // shape of the predictions.
  std::vector<std::string_view> differentiable;
};

// Looks at the shape of the predictions and the names of the extra inputs only.
// INVALID_ARGUMENT with a FieldViolation as Computation::Plan.
absl::StatusOr<OutputShapes> ShapesOfOutputs(const LossSpec& spec,
                                             const Inputs& inputs);

// One loss on its way: planned, then run in blocks, then finished. Whoever
// owns it decides which threads run the blocks; the results have the same bits
// for any choice.
//
//   absl::StatusOr<Computation> c = Computation::Plan(spec, inputs, outputs);
//   absl::StatusOr<LossResult> result = c->Run(threads);
//
// or, by an owner with threads of its own,
//
//   for (size_t i = 0; i < c->weigh_blocks(); ++i) c->WeighBlock(i);
//   absl::Status weighed = c->FinishWeighing();
//   for (size_t i = 0; i < c->blocks(); ++i) c->RunBlock(i);
//   absl::StatusOr<LossResult> result = c->Finish();
//
// Blocks of one phase may run in any order and at the same time; each exactly
// once. The inputs' and outputs' memory is borrowed until Finish returns; the
// shapes only during Plan.
class Computation {
 public:
  // Checks everything that can be known without reading the tensors, apart
  // from small ones (class_weights, pos_weight, a single upstream gradient).
  // INVALID_ARGUMENT with a FieldViolation, or UNIMPLEMENTED.
  static absl::StatusOr<Computation> Plan(const LossSpec& spec,
                                          const Inputs& inputs,
                                          const Outputs& outputs);

  Computation(Computation&&) noexcept;
  Computation& operator=(Computation&&) noexcept;
  ~Computation();

  // First phase: counts rows and adds up weights, as far as the normalizer
  // depends on them. Often 0 blocks.
  size_t weigh_blocks() const;
  void WeighBlock(size_t block);

  // INVALID_ARGUMENT for weights, masks or upstream gradients that are not
  // allowed. Must have succeeded before the second phase.
  absl::Status FinishWeighing();

  // Second phase: losses and gradients.
  size_t blocks() const;
  void RunBlock(size_t block);

  // Adds up the blocks. INVALID_ARGUMENT for elements that are not allowed,
  // naming the first; the outputs are then unspecified.
  absl::StatusOr<LossResult> Finish();

  // Runs both phases and finishes, on up to `max_threads` threads (0: as many
  // as OpenMP offers), on the calling thread alone where the work is too small
  // for a team.
  absl::StatusOr<LossResult> Run(int max_threads);

 private:
  struct State;
  explicit Computation(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

// Plans, runs and finishes one loss on up to `max_threads` threads (0: as many
// as OpenMP offers). Thread-safe; every calling thread has an OpenMP team of
// its own.
absl::StatusOr<LossResult> Compute(const LossSpec& spec, const Inputs& inputs,
                                   const Outputs& outputs, int max_threads = 0);

}  // namespace lossd

#endif  // LOSSD_LIB_COMPUTE_H_
