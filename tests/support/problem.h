// A loss and its inputs as numbers, and the library's answer to it.

#ifndef LOSSD_TESTS_SUPPORT_PROBLEM_H_
#define LOSSD_TESTS_SUPPORT_PROBLEM_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "gtest/gtest.h"
#include "lib/compute.h"
#include "tests/support/number.h"

namespace lossd::test {

// One row of a problem, for references.
struct RowInputs {
  std::vector<Number> predictions;
  // The same, but for a derivative those of the place where it is taken: for
  // what a loss takes as a constant.
  std::vector<Number> held_predictions;
  // Dense, or the one of the row.
  std::vector<Number> targets;
  int64_t label = -1;
  // The row's numbers of each extra input, by name.
  std::map<std::string, std::vector<Number>> extras;
  // The column input's numbers, if there is one.
  std::vector<Number> column;
};

struct ReferenceRow {
  // Before weights and reduction.
  Number loss = 0;
  // What a relative rounding error of every logarithm, exponent and difference
  // is relative to: the loss itself where nothing cancels, more where terms of
  // both signs or a rounded argument of exp are added up.
  Number scale = 0;
};

// A further input. Its shape is what the loss's traits say.
struct Extra {
  std::string name;
  std::vector<double> numbers;
};

// The loss of the parameters, resolved but not checked: tests of bad options
// need the shapes of good ones.
LossKernel ResolvedKernel(LossParams params,
                          Semantics semantics = Semantics::kStrict);

// What is to be computed, whatever dtype the numbers are sent in. Empty
// vectors are inputs that are not given.
struct Problem {
  LossSpec spec;
  // Of the predictions.
  std::vector<int64_t> shape;
  std::vector<double> predictions;
  // One of both.
  std::vector<double> targets;
  std::vector<int64_t> labels;
  std::vector<double> sample_weights;
  std::vector<uint8_t> mask;
  // One number is sent with shape [], more with the shape of the rows.
  std::vector<double> upstream_gradient;
  std::vector<double> class_weights;
  std::vector<double> pos_weight;
  // Another column input than these two, as the traits name it.
  std::vector<double> column;
  std::vector<Extra> extras;
  // Makes targets the weights of these classes, a number of them for each row.
  std::vector<int64_t> target_indices;
  // The loss of a row from its definition; where unset, reference_losses.cc
  // knows the loss.
  std::function<ReferenceRow(const RowInputs&)> reference;

  // Of the parameters, under the semantics.
  LossTraits traits() const;
  // By the layout of rows.
  size_t rows() const;
  size_t columns() const;
};

// In which form a problem is sent, and what is wanted.
struct Form {
  Dtype dtype = Dtype::kFloat64;
  // kUnspecified: that of the predictions.
  Dtype target_dtype = Dtype::kUnspecified;
  Dtype label_dtype = Dtype::kInt64;
  // Of weights, upstream gradients and column inputs.
  Dtype weight_dtype = Dtype::kFloat64;
  // Of extra inputs. kUnspecified: that of the predictions.
  Dtype extra_dtype = Dtype::kUnspecified;
  Dtype gradient_dtype = Dtype::kUnspecified;
  bool gradient = true;
  bool row_losses = true;
  bool diagnostics = false;
  // The gradient overwrites the predictions.
  bool in_place = false;
  // Bytes by which every tensor lies beside an 8-byte boundary.
  size_t offset = 0;
  // Every input is cut into pieces of so many bytes, each in memory of its own;
  // 0: not at all. Without `in_place`.
  size_t piece_bytes = 0;
  int threads = 1;
};

struct Answer {
  LossResult result;
  std::vector<double> gradient;
  std::vector<double> row_losses;
  // Of every extra input that has a gradient, when gradients are wanted.
  std::map<std::string, std::vector<double>> extra_gradients = {};
};

// Tensors of a problem in one form, in memory of their own. Input buffers end
// with their last element, so that the address sanitizer sees every byte read
// beyond; output buffers lie between canaries.
class TestCall {
 public:
  TestCall(const Problem& problem, const Form& form);
  TestCall(const TestCall&) = delete;
  TestCall& operator=(const TestCall&) = delete;

  // For tests to spoil.
  LossSpec spec;
  Inputs inputs;
  Outputs outputs;
  std::vector<NamedTensor> extra_inputs;

  // Computes. Fails the test if a byte beside the outputs has changed.
  absl::StatusOr<Answer> Run();
  // What Run() does, by running the blocks of each phase in reverse order.
  absl::StatusOr<Answer> RunReversed();

 private:
  struct Buffer {
    std::vector<std::byte> bytes;
    size_t begin = 0;
    size_t size = 0;
    std::span<std::byte> span() {
      return std::span(bytes).subspan(begin, size);
    }
  };

  void AddDenseTargets(const Problem& problem, Dtype dtype);
  void AddExtras(const Problem& problem, const LossTraits& traits);
  Buffer MakeInput(size_t size) const;
  Buffer MakeOutput(size_t size) const;
  Bytes Cut(std::span<const std::byte> bytes);
  template <class T>
  TensorView Add(const std::vector<T>& numbers, Dtype dtype,
                 std::span<const int64_t> shape);
  absl::StatusOr<Answer> Read(absl::StatusOr<LossResult> result);

  Form form_;
  std::vector<int64_t> shape_;
  std::vector<int64_t> row_shape_;
  // Of the column input, and of targets that have indices.
  std::vector<int64_t> column_shape_;
  std::vector<int64_t> indices_shape_;
  std::vector<Buffer> input_buffers_;
  // Of the inputs that are cut; what is borrowed must not move.
  std::deque<std::vector<std::byte>> cut_;
  std::deque<std::vector<Piece>> pieces_;
  std::vector<std::string> extra_names_;
  std::map<std::string, Buffer> extra_gradients_;
  std::vector<NamedOutput> extra_outputs_;
  Buffer gradient_;
  Buffer row_losses_;
};

// Sends a problem in a form.
absl::StatusOr<Answer> Solve(const Problem& problem, const Form& form = {});

// The same for a problem that must be all right: fails the test if it is not,
// and answers zeros.
Answer MustSolve(const Problem& problem, const Form& form = {});

// Whether loss, sums, normalizer, counts, row losses and gradient have the same
// bits; what was not wanted of one of both is not compared.
testing::AssertionResult SameBits(const Answer& a, const Answer& b);

// What is behind indices [begin, end) of the first axis of a problem of rank 1
// or 2.
Problem Rows(const Problem& problem, size_t begin, size_t end);

// The numbers of a tensor of any dtype.
std::vector<double> Numbers(Dtype dtype, std::span<const std::byte> bytes);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_PROBLEM_H_
