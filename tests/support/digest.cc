#include "tests/support/digest.h"

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <vector>

#include "tests/support/problem.h"

namespace lossd::test {
namespace {

// FNV-1a.
class Digest {
 public:
  void Add(double number) {
    // NaNs are all alike.
    const auto bits =
        std::bit_cast<uint64_t>(std::isnan(number) ? NAN : number);
    for (int shift = 0; shift < 64; shift += 8) {
      state_ = (state_ ^ (bits >> shift & 0xff)) * 0x100000001b3;
    }
  }

  void Add(const std::vector<double>& numbers) {
    for (const double number : numbers) Add(number);
  }

  std::string Text() const {
    char text[17];
    std::snprintf(text, sizeof(text), "%016llx",
                  static_cast<unsigned long long>(state_));
    return text;
  }

 private:
  uint64_t state_ = 0xcbf29ce484222325;
};

// 20 binary digits, which a libm that errs in the last of 53 does not reach.
void RoundAll(std::vector<double>& numbers) {
  for (double& number : numbers) {
    if (number == 0 || !std::isfinite(number)) continue;
    const double unit = std::ldexp(1, std::ilogb(number) - 19);
    number = std::nearbyint(number / unit) * unit;
  }
}

void AddAnswer(const Problem& problem, Dtype dtype, Digest& digest) {
  const absl::StatusOr<Answer> answer =
      Solve(problem, {.dtype = dtype, .diagnostics = true});
  // Rounded probabilities need not sum to 1 closely enough: a fact as well.
  digest.Add(answer.ok() ? 1 : 0);
  if (!answer.ok()) return;
  const LossResult& result = answer->result;
  digest.Add(
      {result.loss, result.loss_sum, result.weight_sum, result.normalizer});
  digest.Add(answer->gradient);
  digest.Add(answer->row_losses);
  for (const auto& [name, gradient] : answer->extra_gradients) {
    digest.Add(gradient);
  }
  for (const Diagnostic& figure : result.diagnostics) digest.Add(figure.value);
}

}  // namespace

std::string DigestOf(const LossCase& loss_case) {
  Digest digest;
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    for (const std::vector<int64_t>& shape :
         {std::vector<int64_t>{41, 7}, {300, 33}, {2, 5000}}) {
      Problem problem = Sample(loss_case, shape, dtype);
      RoundAll(problem.predictions);
      RoundAll(problem.targets);
      for (Extra& extra : problem.extras) RoundAll(extra.numbers);
      for (const Semantics semantics :
           {Semantics::kStrict, Semantics::kPytorch, Semantics::kKeras}) {
        problem.spec.semantics = semantics;
        AddAnswer(problem, dtype, digest);
        Problem weighted = problem;
        AddWeights(weighted, 2);
        AddMask(weighted, 3);
        AddAnswer(weighted, dtype, digest);
      }
    }
  }
  return digest.Text();
}

}  // namespace lossd::test
