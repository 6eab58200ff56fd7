// Losses that compare scores with a margin. The references are the definitions,
// in long double.

#include <algorithm>
#include <cmath>
#include <limits>
#include <span>
#include <utility>

#include "tests/support/loss_case_groups.h"
#include "tests/support/samplers.h"

namespace lossd::test {
namespace {

using Reference = std::function<ReferenceRow(const RowInputs&)>;

double PlusOrMinus(Random& random) { return random.Sign(); }

// The mean of element(prediction, target, other), whose result is a loss and
// what its rounding errors are relative to.
Reference MeanOf(
    const std::function<ReferenceRow(Number, Number, Number)>& element) {
  return [=](const RowInputs& row) {
    const auto others = row.extras.find("other_predictions");
    const auto count = static_cast<Number>(row.predictions.size());
    ReferenceRow mean;
    for (size_t k = 0; k < row.predictions.size(); ++k) {
      const ReferenceRow part =
          element(row.predictions[k], row.targets[k],
                  others == row.extras.end() ? 0 : others->second[k]);
      mean.loss += part.loss / count;
      mean.scale += part.scale / count;
    }
    return mean;
  };
}

void AddSigns(std::vector<LossCase>& cases) {
  LossCase squared{.name = "squared_hinge",
                   .params = SquaredHingeParams{},
                   .sample = Elements(Normal(2), PlusOrMinus)};
  // Twice differentiable everywhere else.
  squared.kink_distance = [](double p, double t) {
    return std::abs(1 - t * p);
  };
  squared.reference = MeanOf([](Number p, Number t, Number) -> ReferenceRow {
    const Number u = std::max<Number>(0, 1 - t * p);
    return {u * u, u * u + 2 * u * std::abs(p)};
  });
  cases.push_back(squared);
  squared.name = "squared_hinge_wide";
  squared.sample = Elements(SignedLogUniform(1e-15, 1e15), PlusOrMinus);
  squared.length = Size;
  cases.push_back(squared);
  squared.name = "squared_hinge_near_margin";
  squared.sample = [](Random& random, Problem& problem) {
    for (size_t i = 0; i < problem.predictions.size(); ++i) {
      const double t = problem.targets[i] = random.Sign();
      problem.predictions[i] =
          t * (1 + random.Sign() * random.LogUniform(1e-6, 1e-2));
    }
  };
  squared.length = squared.kink_distance;
  cases.push_back(squared);
  LossCase zero_one{
      .name = "squared_hinge_zero_one",
      .params = SquaredHingeParams{.label_encoding = LabelEncoding::kZeroOne},
      .sample = Elements(Normal(2), ZeroOrOne)};
  zero_one.kink_distance = [](double p, double t) {
    return std::abs(1 - (2 * t - 1) * p);
  };
  zero_one.reference = MeanOf([](Number p, Number t, Number) -> ReferenceRow {
    const Number u = std::max<Number>(0, 1 - (2 * t - 1) * p);
    return {u * u, u * u + 2 * u * std::abs(p)};
  });
  cases.push_back(zero_one);

  const auto soft = [](Number p, Number y) -> ReferenceRow {
    const Number wrong = -y * p;
    const Number loss =
        std::max<Number>(wrong, 0) + std::log1p(std::exp(-std::abs(wrong)));
    return {loss, loss};
  };
  LossCase soft_margin{.name = "soft_margin",
                       .params = SoftMarginParams{},
                       .sample = Elements(Normal(4), PlusOrMinus)};
  soft_margin.reference =
      MeanOf([=](Number p, Number t, Number) { return soft(p, t); });
  cases.push_back(soft_margin);
  soft_margin.name = "soft_margin_wide";
  // Down to exp(-80), near the smallest normal float.
  soft_margin.sample = Elements(Uniform(-80, 80), PlusOrMinus);
  cases.push_back(soft_margin);
  soft_margin.name = "soft_margin_zero_one";
  soft_margin.params =
      SoftMarginParams{.label_encoding = LabelEncoding::kZeroOne};
  soft_margin.sample = Elements(Normal(4), ZeroOrOne);
  soft_margin.reference =
      MeanOf([=](Number p, Number t, Number) { return soft(p, 2 * t - 1); });
  cases.push_back(soft_margin);
}

void AddEmbedding(std::vector<LossCase>& cases) {
  const auto add = [&](const std::string& name, double margin, Draw distance) {
    LossCase row{.name = name,
                 .params = HingeEmbeddingParams{.margin = margin},
                 .sample = Elements(std::move(distance), PlusOrMinus),
                 .loss_ulp = 1,
                 .length = Size};
    row.kink_distance = [=](double p, double t) {
      return t == 1 ? std::numeric_limits<double>::infinity()
                    : std::abs(margin - p);
    };
    row.reference = MeanOf([=](Number p, Number t, Number) -> ReferenceRow {
      const Number loss = t == 1 ? p : std::max<Number>(0, margin - p);
      // Negative distances cancel in the row.
      return {loss, std::abs(loss)};
    });
    cases.push_back(row);
  };
  add("hinge_embedding", 1, Uniform(0.01, 2));
  add("hinge_embedding_margin", 0.3, Uniform(0.01, 0.6));
  add("hinge_embedding_wide", 1e4,
      [](Random& random) { return random.LogUniform(1e-15, 1e15); });
  add("hinge_embedding_negative", -2.5, Normal(2));
  add("hinge_embedding_near_margin", 0.1, [](Random& random) {
    return 0.1 * (1 + random.Sign() * random.LogUniform(1e-6, 1e-2));
  });
  cases.back().length = [](double p, double) { return std::abs(0.1 - p); };
}

// Pairs whose second score is other(first score, target, random).
Sampler Pairs(const Draw& first,
              const std::function<double(double, double, Random&)>& other) {
  return [=](Random& random, Problem& problem) {
    std::vector<double> others;
    for (size_t i = 0; i < problem.predictions.size(); ++i) {
      const double p = problem.predictions[i] = first(random);
      const double t = problem.targets[i] = random.Sign();
      others.push_back(other(p, t, random));
    }
    problem.extras = {{"other_predictions", std::move(others)}};
  };
}

void AddRanking(std::vector<LossCase>& cases) {
  const auto add = [&](const std::string& name, double margin, Sampler sample) {
    LossCase row{.name = name,
                 .params = MarginRankingParams{.margin = margin},
                 .sample = std::move(sample),
                 .loss_ulp = 2};
    row.kink_distance_at = [=](const Problem& problem, size_t i) {
      const double o = problem.extras[0].numbers[i];
      return std::abs(margin -
                      problem.targets[i] * (problem.predictions[i] - o));
    };
    row.length_at = [](const Problem& problem, size_t i) {
      return Size(problem.predictions[i], problem.extras[0].numbers[i]);
    };
    row.reference = MeanOf([=](Number p, Number t, Number o) -> ReferenceRow {
      const Number loss = std::max<Number>(0, margin - t * (p - o));
      return {loss, loss};
    });
    cases.push_back(row);
  };
  const auto apart = [](const Draw& draw) {
    return [=](double, double, Random& random) { return draw(random); };
  };
  add("margin_ranking", 0, Pairs(Normal(3), apart(Normal(3))));
  add("margin_ranking_margin", 0.3, Pairs(Normal(3), apart(Normal(3))));
  const Draw wide = SignedLogUniform(1e-15, 1e15);
  add("margin_ranking_wide", 10, Pairs(wide, apart(wide)));
  // The difference is the margin up to a millionth to a hundredth.
  const double margin = 0.1;
  add("margin_ranking_near_margin", margin,
      Pairs(Normal(3), [=](double p, double t, Random& random) {
        return p -
               t * margin * (1 + random.Sign() * random.LogUniform(1e-4, 1e-2));
      }));
  cases.back().length_at = cases.back().kink_distance_at;
  for (size_t i = cases.size() - 4; i < cases.size(); ++i) {
    const auto length = cases[i].length_at;
    cases[i].extra_length_at = [=](const Problem& problem, const std::string&,
                                   size_t element) {
      return length(problem, element);
    };
  }
}

// Scores of each row from fill, and labels.
Sampler Scored(
    const std::function<void(Random&, std::span<double>, size_t label)>& fill) {
  return [=](Random& random, Problem& problem) {
    problem.targets.clear();
    problem.labels.clear();
    const size_t columns = problem.columns();
    for (size_t row = 0; row < problem.rows(); ++row) {
      const auto label =
          static_cast<size_t>(random.Below(static_cast<int64_t>(columns)));
      problem.labels.push_back(static_cast<int64_t>(label));
      fill(random,
           std::span(problem.predictions).subspan(row * columns, columns),
           label);
    }
  };
}

Sampler NormalScores(double deviation) {
  return Scored([=](Random& random, std::span<double> row, size_t) {
    for (double& x : row) x = deviation * random.Normal();
  });
}

Sampler WithWeightsOfClasses(const Sampler& sample) {
  return [=](Random& random, Problem& problem) {
    sample(random, problem);
    for (size_t k = 0; k < problem.columns(); ++k) {
      problem.class_weights.push_back(
          k == 1 ? 0 : 0.5 + static_cast<double>(k % 3));
    }
  };
}

// By how much each class misses its margin to the label: margin - x_y + x_k.
template <class T>
std::vector<T> MissesOf(std::span<const T> row, size_t label, double margin) {
  std::vector<T> misses;
  for (size_t k = 0; k < row.size(); ++k) {
    if (k != label) misses.push_back(margin - row[label] + row[k]);
  }
  return misses;
}

std::span<const double> ScoresOf(const Problem& problem, size_t element) {
  const size_t columns = problem.columns();
  return std::span(problem.predictions)
      .subspan(element / columns * columns, columns);
}

size_t LabelOf(const Problem& problem, size_t element) {
  return static_cast<size_t>(problem.labels[element / problem.columns()]);
}

// Steps that end before the next kink, also where there is none.
void StopAtKinks(LossCase& row) {
  row.length_at = [kink = row.kink_distance_at](const Problem& problem,
                                                size_t i) {
    return std::min(kink(problem, i), 1 + std::abs(problem.predictions[i]));
  };
}

void AddSum(std::vector<LossCase>& cases) {
  const auto add = [&](const std::string& name, MultiMarginParams params,
                       Sampler sample) {
    LossCase row{.name = name, .params = params, .sample = std::move(sample)};
    row.kink_distance_at = [=](const Problem& problem, size_t i) {
      double nearest = std::numeric_limits<double>::infinity();
      for (const double z :
           MissesOf(ScoresOf(problem, i), LabelOf(problem, i), params.margin)) {
        nearest = std::min(nearest, std::abs(z));
      }
      return nearest;
    };
    row.reference = [=](const RowInputs& inputs) {
      const auto label = static_cast<size_t>(inputs.label);
      const Number weight = (inputs.column.empty() ? 1 : inputs.column[label]) /
                            static_cast<Number>(inputs.predictions.size());
      ReferenceRow result;
      for (const Number z :
           MissesOf(std::span<const Number>(inputs.predictions), label,
                    params.margin)) {
        if (z <= 0) continue;
        const Number slope = params.p == 2 ? 2 * z : 1;
        // Errors of z are those of its largest term.
        const Number error = z + std::abs(params.margin) +
                             2 * std::abs(inputs.predictions[label]);
        result.loss += weight * (params.p == 2 ? z * z : z);
        result.scale += weight * slope * error;
      }
      return result;
    };
    cases.push_back(row);
  };
  add("multi_margin", {}, NormalScores(1));
  add("multi_margin_squared", {.p = 2}, NormalScores(1));
  add("multi_margin_options", {.p = 2, .margin = 0.3},
      WithWeightsOfClasses(NormalScores(2)));
  add("multi_margin_weights", {.margin = -0.7},
      WithWeightsOfClasses(NormalScores(2)));
  // No difference of floats of this size is the margin.
  add("multi_margin_far", {.margin = 3.03},
      Scored([](Random& random, std::span<double> row, size_t) {
        const double far = 1e6 * random.Normal();
        for (double& x : row) x = far + random.Normal();
      }));
  for (const int64_t p : {1, 2}) {
    add(p == 1 ? "multi_margin_near_margin"
               : "multi_margin_squared_near_margin",
        {.p = p, .margin = 0.1},
        Scored([](Random& random, std::span<double> row, size_t label) {
          const double right = random.Normal();
          for (double& x : row) {
            x = right - 0.1 + random.Sign() * random.LogUniform(1e-4, 1e-2);
          }
          row[label] = right;
        }));
    StopAtKinks(cases.back());
  }
}

// Distance of the largest number to the second largest.
double Lead(std::vector<double> numbers) {
  if (numbers.size() < 2) return std::numeric_limits<double>::infinity();
  std::ranges::sort(numbers, std::greater());
  return numbers[0] - numbers[1];
}

void AddLargest(std::vector<LossCase>& cases) {
  LossCase row{.name = "multiclass_hinge",
               .params = MulticlassHingeParams{},
               .sample = NormalScores(1),
               .loss_ulp = 1,
               .gradient_ulp = 1};
  row.kink_distance_at = [](const Problem& problem, size_t i) {
    std::vector<double> misses =
        MissesOf(ScoresOf(problem, i), LabelOf(problem, i), 1);
    // The label's own miss is 0.
    misses.push_back(0);
    return Lead(std::move(misses));
  };
  row.reference = [](const RowInputs& inputs) {
    const auto label = static_cast<size_t>(inputs.label);
    ReferenceRow result;
    for (size_t k = 0; k < inputs.predictions.size(); ++k) {
      const Number z = inputs.predictions[k] + (k == label ? 0 : 1) -
                       inputs.predictions[label];
      result.loss = k == 0 ? z : std::max(result.loss, z);
    }
    result.scale = result.loss + 1 + std::abs(inputs.predictions[label]);
    return result;
  };
  cases.push_back(row);
  StopAtKinks(row);
  row.name = "multiclass_hinge_wide";
  row.sample = Scored([](Random& random, std::span<double> scores, size_t) {
    for (double& x : scores) x = random.Sign() * random.LogUniform(1e-15, 1e15);
  });
  cases.push_back(row);
  row.name = "multiclass_hinge_near_margin";
  row.sample =
      Scored([](Random& random, std::span<double> scores, size_t label) {
        const double right = random.Normal();
        for (double& x : scores) x = right - 2 - random.Uniform(0, 3);
        const size_t rival = (label + 1) % scores.size();
        scores[rival] =
            right - 1 + random.Sign() * random.LogUniform(1e-4, 1e-2);
        scores[label] = right;
      });
  cases.push_back(row);
}

void AddDense(std::vector<LossCase>& cases) {
  const auto add =
      [&](const std::string& name, double deviation,
          const std::function<void(Random&, std::span<double>)>& fill_targets) {
        LossCase row{
            .name = name,
            .params = CategoricalHingeParams{},
            .sample = [=](Random& random, Problem& problem) {
              const size_t columns = problem.columns();
              for (double& x : problem.predictions) {
                x = deviation * random.Normal();
              }
              for (size_t i = 0; i < problem.rows(); ++i) {
                fill_targets(
                    random,
                    std::span(problem.targets).subspan(i * columns, columns));
              }
            }};
        row.kink_distance_at = [](const Problem& problem, size_t i) {
          const size_t columns = problem.columns();
          std::vector<double> others;
          double right = 0;
          for (size_t k = i / columns * columns;
               k < (i / columns + 1) * columns; ++k) {
            others.push_back((1 - problem.targets[k]) * problem.predictions[k]);
            right += problem.targets[k] * problem.predictions[k];
          }
          const double z = 1 + *std::ranges::max_element(others) - right;
          return std::min(std::abs(z), Lead(std::move(others)));
        };
        row.reference = [](const RowInputs& inputs) {
          Number most = -std::numeric_limits<Number>::infinity();
          Number right = 0;
          ReferenceRow result;
          for (size_t k = 0; k < inputs.predictions.size(); ++k) {
            const Number t = inputs.targets[k];
            const Number x = inputs.predictions[k];
            most = std::max(most, (1 - t) * x);
            right += t * x;
            result.scale += std::abs(t * x);
          }
          result.loss = std::max<Number>(0, 1 + most - right);
          result.scale += 1 + std::abs(most);
          return result;
        };
        cases.push_back(row);
      };
  const auto one_hot = [](Random& random, std::span<double> row) {
    std::ranges::fill(row, 0);
    row[static_cast<size_t>(random.Below(std::ssize(row)))] = 1;
  };
  add("categorical_hinge", 1, one_hot);
  add("categorical_hinge_large", 1e6, one_hot);
  add("categorical_hinge_soft", 2, [](Random& random, std::span<double> row) {
    for (double& t : row) t = random.Uniform(0, 1);
  });
  add("categorical_hinge_multi_hot", 2,
      [](Random& random, std::span<double> row) {
        // Two targets would tie at 0.
        std::ranges::fill(row, 0.25);
        row[0] = random.Chance(0.5) ? 1 : 0.5;
      });
}

}  // namespace

void AddMarginCases(std::vector<LossCase>& cases) {
  AddSigns(cases);
  AddEmbedding(cases);
  AddRanking(cases);
  AddSum(cases);
  AddLargest(cases);
  AddDense(cases);
}

}  // namespace lossd::test
