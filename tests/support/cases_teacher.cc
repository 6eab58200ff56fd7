// Divergences between a teacher's and a student's logits.

#include <algorithm>
#include <cmath>
#include <span>
#include <string>
#include <vector>

#include "tests/support/loss_case_groups.h"
#include "tests/support/samplers.h"

namespace lossd::test {
namespace {

// Logarithms of a softmax, and how large the numbers are of which they are the
// difference.
struct LogSoftmax {
  std::vector<Number> logs;
  std::vector<Number> sizes;
};

LogSoftmax LogSoftmaxOf(std::span<const Number> logits, Number temperature) {
  const auto top = std::ranges::max_element(logits);
  Number others = 0;
  for (auto x = logits.begin(); x != logits.end(); ++x) {
    if (x != top) others += std::exp((*x - *top) / temperature);
  }
  LogSoftmax softmax;
  for (const Number x : logits) {
    softmax.logs.push_back((x - *top) / temperature - std::log1p(others));
    softmax.sizes.push_back((std::abs(x) + std::abs(*top)) / temperature +
                            std::log1p(others));
  }
  return softmax;
}

// e^x - 1 - x.
Number Expm1MinusX(Number x) {
  if (std::abs(x) >= 0.5L) return std::expm1(x) - x;
  Number sum = 0;
  Number term = x;
  for (int n = 2; n < 30; ++n) sum += term *= x / n;
  return sum;
}

// The definition's p log(p / r) and, since both distributions sum up to 1,
// r - p: alone the first would cancel in the sum, also in long double.
Number Term(Number p, Number log_ratio) { return p * Expm1MinusX(-log_ratio); }

// KL(p || r) times a factor. A rounded logarithm moves it by the difference of
// the probabilities.
ReferenceRow Divergence(const LogSoftmax& p, const LogSoftmax& r,
                        Number factor) {
  ReferenceRow row;
  for (size_t k = 0; k < p.logs.size(); ++k) {
    const Number mass = std::exp(p.logs[k]);
    const Number log_ratio = p.logs[k] - r.logs[k];
    const Number term = Term(mass, log_ratio);
    const Number size = 1 + p.sizes[k] + r.sizes[k];
    row.loss += factor * term;
    row.scale +=
        factor * size * (term + mass * std::abs(std::expm1(-log_ratio)));
  }
  return row;
}

ReferenceRow DistillationOf(const DistillationDivergenceParams& params,
                            const RowInputs& inputs) {
  const Number temperature = params.temperature;
  const LogSoftmax teacher = LogSoftmaxOf(inputs.targets, temperature);
  const LogSoftmax student = LogSoftmaxOf(inputs.predictions, temperature);
  const Number factor =
      params.temperature_squared ? temperature * temperature : 1;
  return params.reverse ? Divergence(student, teacher, factor)
                        : Divergence(teacher, student, factor);
}

ReferenceRow JensenShannonOf(const JensenShannonDivergenceParams& params,
                             const RowInputs& inputs) {
  const LogSoftmax teacher =
      LogSoftmaxOf(inputs.targets, params.teacher_temperature);
  const LogSoftmax student =
      LogSoftmaxOf(inputs.predictions, params.student_temperature);
  const Number beta = params.beta;
  ReferenceRow row;
  for (size_t k = 0; k < teacher.logs.size(); ++k) {
    const Number t = std::exp(teacher.logs[k]);
    const Number q = std::exp(student.logs[k]);
    const Number log_ratio = teacher.logs[k] - student.logs[k];
    // log(t / m) and log(q / m).
    const Number of_t = -std::log1p((1 - beta) * std::expm1(-log_ratio));
    const Number of_q = -std::log1p(beta * std::expm1(log_ratio));
    row.loss += beta * Term(t, of_t) + (1 - beta) * Term(q, of_q);
    row.scale += (1 + teacher.sizes[k] + student.sizes[k]) *
                 (beta * t * std::abs(of_t) + (1 - beta) * q * std::abs(of_q));
  }
  return row;
}

// Logits of the teacher, and of a student that differs from it by a noise.
Sampler Pairs(double deviation, double noise) {
  return [=](Random& random, Problem& problem) {
    for (size_t i = 0; i < problem.predictions.size(); ++i) {
      problem.targets[i] = deviation * random.Normal();
      problem.predictions[i] = problem.targets[i] + noise * random.Normal();
    }
  };
}

// Where both nearly agree, slopes are small and their derivatives are not.
double ShortLength(const Problem&, size_t /*element*/) { return 0.1; }

// There a slope is a probability times the difference of two logarithms, which
// is rounded at the size of logits, about 10: by some 2^-52 of that, 1e-12 of
// this.
double RoundedLogits(const Problem&, const std::string& /*extra*/,
                     size_t /*element*/) {
  return 1e-2;
}

}  // namespace

void AddTeacherCases(std::vector<LossCase>& cases) {
  const auto distill = [&](const std::string& name,
                           DistillationDivergenceParams params,
                           const Sampler& sampler) {
    cases.push_back({.name = name, .params = params, .sample = sampler});
    cases.back().reference = [=](const RowInputs& inputs) {
      return DistillationOf(params, inputs);
    };
  };
  const Sampler unlike = Pairs(3, 3);
  const Sampler nearly_same = Pairs(3, 1e-3);
  const Sampler confident = Pairs(8, 8);
  distill("distillation", {}, unlike);
  distill("distillation_temperature", {.temperature = 2.5}, unlike);
  distill("distillation_not_squared",
          {.temperature = 4, .temperature_squared = false}, unlike);
  distill("distillation_nearly_same", {}, nearly_same);
  cases.back().length_at = ShortLength;
  cases.back().slope_scale_at = RoundedLogits;
  distill("distillation_confident", {}, confident);
  distill("distillation_reverse", {.reverse = true}, unlike);
  distill("distillation_reverse_temperature",
          {.temperature = 0.5, .reverse = true}, unlike);
  distill("distillation_reverse_nearly_same", {.reverse = true}, nearly_same);
  cases.back().length_at = ShortLength;
  cases.back().slope_scale_at = RoundedLogits;
  distill("distillation_reverse_confident", {.reverse = true}, confident);

  const auto mix = [&](const std::string& name,
                       JensenShannonDivergenceParams params,
                       const Sampler& sampler) {
    cases.push_back({.name = name, .params = params, .sample = sampler});
    cases.back().reference = [=](const RowInputs& inputs) {
      return JensenShannonOf(params, inputs);
    };
  };
  mix("jensen_shannon", {}, unlike);
  mix("jensen_shannon_teacher", {.beta = 0.9}, unlike);
  mix("jensen_shannon_student", {.beta = 0.05}, unlike);
  mix("jensen_shannon_temperatures",
      {.teacher_temperature = 2, .student_temperature = 0.75}, unlike);
  mix("jensen_shannon_nearly_same", {.beta = 0.3}, nearly_same);
  cases.back().length_at = ShortLength;
  cases.back().slope_scale_at = RoundedLogits;
  mix("jensen_shannon_confident", {}, confident);
}

}  // namespace lossd::test
