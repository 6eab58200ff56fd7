#ifndef LOSSD_LIB_CORE_ROW_WEIGHTS_H_
#define LOSSD_LIB_CORE_ROW_WEIGHTS_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <vector>

#include "absl/status/status.h"
#include "lib/core/problem.h"
#include "lib/core/violation.h"

namespace lossd {

// Which rows count and how much: mask, ignored labels, sample weights, class
// weights. Everything that depends on them alone is counted in a first phase,
// block by block, because the normalizer must be known before any gradient.
//
// Borrows the problem. Blocks may run at the same time; the rest is for one
// thread.
class RowWeights {
 public:
  explicit RowWeights(const Problem& problem);

  // Every row counts with weight 1: there is no first phase.
  bool uniform() const { return uniform_; }

  // Each block is a run of rows, a function of the shape; none if uniform().
  size_t blocks() const { return blocks_; }
  size_t rows_per_block() const { return rows_per_block_; }

  // Makes room for the results of the blocks before `end`; while none runs.
  void MakeRoom(size_t end) { partials_.resize(end); }
  void RunBlock(size_t block);

  // After these blocks: INVALID_ARGUMENT for the first weight, mask or upstream
  // gradient that is not allowed.
  absl::Status Check(size_t begin, size_t end) const;

  // Adds up the blocks, which have been checked.
  void Finish();

  // For a second phase that begins before the first one ends: the normalizer is
  // then 1 until Finish, unless it is known without any block. False if it is
  // not.
  bool FinishLater();

  // Known after Finish.
  double weight_sum() const { return weight_sum_; }
  int64_t row_count() const { return row_count_; }
  int64_t masked_count() const { return masked_count_; }
  int64_t ignored_count() const { return ignored_count_; }
  // loss_sum / this is the loss; 0 when there is nothing to divide by.
  double normalizer() const { return normalizer_; }

  // What rows [begin, begin + count) are to the second phase: factor of the
  // row's loss in the sum, factor of its slopes, whether it counts. Both
  // factors are +0 for rows that do not.
  void Fill(size_t begin, size_t count, double* weights, double* scales,
            uint8_t* active) const;

  // Whether float holds the factors of the rows of these blocks (with blocks
  // none, of all rows) with all their digits.
  bool ScalesFitFloat(size_t begin, size_t end) const;

  // The factor of slopes of rows of weight 1, unless upstream gradients are
  // given by row.
  double uniform_scale() const { return ScaleOf(1, problem_.upstream); }

 private:
  struct Partial {
    double weight_sum = 0;
    int64_t masked = 0;
    int64_t ignored = 0;
    // Sizes of the factors of slopes but for the normalizer, those of 0 apart.
    double smallest = std::numeric_limits<double>::infinity();
    double largest = 0;
    std::optional<FieldViolation> violation;
  };

  // What is given for a run of rows.
  class Rows;

  double WeightOfClass(int64_t label) const;
  double ClassWeight(const Rows& rows, size_t i) const;
  // The same for dense targets.
  double ClassWeightOfTargets(size_t row) const;
  std::optional<FieldViolation> CheckRow(const Rows& rows, size_t i) const;
  double ScaleOf(double weight, double upstream) const;
  double Normalizer() const;

  const Problem& problem_;
  bool has_class_weights_;
  bool uniform_;
  size_t rows_per_block_;
  size_t blocks_ = 0;
  std::vector<Partial> partials_;
  double weight_sum_ = 0;
  int64_t row_count_ = 0;
  int64_t masked_count_ = 0;
  int64_t ignored_count_ = 0;
  double normalizer_ = 0;
};

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_ROW_WEIGHTS_H_
