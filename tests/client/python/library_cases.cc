// Writes problems and the library's answers to a file, for clients in other
// languages to compare with:
//
//   library_cases FILE
//
// The file holds, each behind its length as a varint, a LossItem and the
// LossResult that it must have, in turn.

#include <google/protobuf/util/delimited_message_util.h>

#include <fstream>
#include <iostream>

#include "tests/integration/messages.h"
#include "tests/support/loss_cases.h"

namespace lossd::test {
namespace {

v1::Tensor GradientTensor(const std::vector<double>& numbers,
                          const Problem& problem, const Form& form) {
  if (form.dtype == Dtype::kFloat64) {
    return TensorOf(v1::DTYPE_FLOAT64, numbers, problem.shape);
  }
  return TensorOf(v1::DTYPE_FLOAT32,
                  std::vector<float>(numbers.begin(), numbers.end()),
                  problem.shape);
}

v1::LossResult ResultOf(const Answer& answer, const Problem& problem,
                        const Form& form) {
  v1::LossResult result;
  result.set_loss(answer.result.loss);
  result.set_loss_sum(answer.result.loss_sum);
  result.set_weight_sum(answer.result.weight_sum);
  result.set_normalizer(answer.result.normalizer);
  result.set_row_count(answer.result.row_count);
  result.set_masked_count(answer.result.masked_count);
  result.set_ignored_count(answer.result.ignored_count);
  result.set_clipped_count(answer.result.clipped_count);
  *result.mutable_gradient() = GradientTensor(answer.gradient, problem, form);
  for (const auto& [input, gradient] : answer.extra_gradients) {
    (*result.mutable_extra_gradients())[input] =
        GradientTensor(gradient, problem, form);
  }
  *result.mutable_row_losses() =
      TensorOf(v1::DTYPE_FLOAT64, answer.row_losses, RowShapeOf(problem));
  return result;
}

bool Write(const std::string& path) {
  std::ofstream file(path, std::ios::binary);
  for (const LossCase& loss_case : LossCases()) {
    for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
      const Form form{.dtype = dtype};
      for (const Problem& problem :
           Variants(Sample(loss_case, {13, 9}, dtype))) {
        const absl::StatusOr<Answer> answer = Solve(problem, form);
        if (!answer.ok()) {
          std::cerr << loss_case.name << ": " << answer.status() << "\n";
          return false;
        }
        using google::protobuf::util::SerializeDelimitedToOstream;
        SerializeDelimitedToOstream(ItemOf(problem, form), &file);
        SerializeDelimitedToOstream(ResultOf(*answer, problem, form), &file);
      }
    }
  }
  return file.flush().good();
}

}  // namespace
}  // namespace lossd::test

int main(int argc, char** argv) {
  if (argc != 2) {
    std::cerr << "usage: library_cases FILE\n";
    return 2;
  }
  return lossd::test::Write(argv[1]) ? 0 : 1;
}
