// Losses of real-valued targets beyond the first four, and the Gaussian
// divergence.

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/loss_case_groups.h"
#include "tests/support/samplers.h"

namespace lossd::test {
namespace {

constexpr Number kHalfLogTwoPi = 0.918938533204672741780329736L;

// log(a + b), relative also where the sum is nearly 1.
Number LogOfSum(Number a, Number b) {
  const Number above = (std::max(a, b) - 1) + std::min(a, b);
  return std::abs(above) < 0.5L ? std::log1p(above) : std::log(a + b);
}

// A loss of column `k` of a row.
using ElementLoss = std::function<ReferenceRow(const RowInputs&, size_t k)>;

ReferenceRow SumOf(const ElementLoss& element, const RowInputs& row) {
  ReferenceRow sum;
  for (size_t k = 0; k < row.predictions.size(); ++k) {
    const ReferenceRow part = element(row, k);
    sum.loss += part.loss;
    sum.scale += part.scale;
  }
  return sum;
}

std::function<ReferenceRow(const RowInputs&)> Mean(const ElementLoss& element) {
  return [=](const RowInputs& row) {
    const ReferenceRow sum = SumOf(element, row);
    const auto columns = static_cast<Number>(row.predictions.size());
    return ReferenceRow{sum.loss / columns, sum.scale / columns};
  };
}

// For losses of a prediction and a target that are sums of terms >= 0.
std::function<ReferenceRow(const RowInputs&)> MeanOfPositive(
    const std::function<Number(Number prediction, Number target)>& element) {
  return Mean([=](const RowInputs& row, size_t k) {
    const Number loss = element(row.predictions[k], row.targets[k]);
    return ReferenceRow{loss, loss};
  });
}

Sampler WithExtra(const Sampler& sampler, const std::string& name,
                  const Draw& draw) {
  return [=](Random& random, Problem& problem) {
    sampler(random, problem);
    std::vector<double> numbers(problem.predictions.size());
    for (double& number : numbers) number = draw(random);
    problem.extras.push_back({name, std::move(numbers)});
  };
}

const std::vector<double>& ExtraOf(const Problem& problem,
                                   const std::string& name) {
  return std::ranges::find(problem.extras, name, &Extra::name)->numbers;
}

Draw Counts(int64_t below) {
  return
      [=](Random& random) { return static_cast<double>(random.Below(below)); };
}

Draw LogUniform(double low, double high) {
  return [=](Random& random) { return random.LogUniform(low, high); };
}

void AddSmoothL1(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, double beta, Sampler sample) {
    LossCase row{.name = std::move(name),
                 .params = SmoothL1Params{.beta = beta},
                 .sample = std::move(sample),
                 .length = Residual};
    row.kink_distance = [=](double p, double t) {
      return std::abs(Residual(p, t) - beta);
    };
    row.reference = MeanOfPositive([=](Number p, Number t) {
      const Number size = std::abs(p - t);
      return size < beta ? size * size / (2 * static_cast<Number>(beta))
                         : size - static_cast<Number>(beta) / 2;
    });
    cases.push_back(row);
  };
  add("smooth_l1", 1, Elements(Normal(1), Normal(1)));
  add("smooth_l1_small_beta", 0.3, Elements(Normal(0.3), Normal(0.3)));
  add("smooth_l1_large_beta", 1000, Elements(Normal(1000), Normal(1000)));
  add("smooth_l1_beta_zero", 0, Elements(Normal(3), Normal(3)));
  const Draw wide = SignedLogUniform(1e-15, 1e15);
  add("smooth_l1_wide", 1, Elements(wide, wide));
  add("smooth_l1_nearly_equal", 1, NearlyEqual(SignedLogUniform(1e-3, 1e6)));
}

void AddLogCosh(std::vector<LossCase>& cases) {
  LossCase row{.name = "log_cosh",
               .params = LogCoshParams{},
               .sample = Elements(Normal(2), Normal(2)),
               .loss_ulp = 3};
  // Quadratic within 1, linear beyond.
  row.length = [](double p, double t) {
    const double size = Residual(p, t);
    return size > 100 ? size / 100 : std::min(1.0, Size(p, t));
  };
  row.reference = MeanOfPositive([](Number p, Number t) {
    const Number size = std::abs(p - t);
    const Number sinh = std::sinh(std::min<Number>(size, 1) / 2);
    return size < 1 ? std::log1p(2 * sinh * sinh)
                    : size + std::log1p(std::exp(-2 * size)) - std::log(2.0L);
  });
  cases.push_back(row);
  row.name = "log_cosh_around_the_seam";
  row.sample = Elements(Uniform(0.5, 0.9), Uniform(-0.05, 0.05));
  cases.push_back(row);
  row.name = "log_cosh_small";
  row.sample = Elements(SignedLogUniform(1e-12, 1), SignedLogUniform(1e-12, 1));
  cases.push_back(row);
  row.name = "log_cosh_wide";
  row.sample =
      Elements(SignedLogUniform(1e-15, 1e15), SignedLogUniform(1e-15, 1e15));
  cases.push_back(row);
  row.name = "log_cosh_nearly_equal";
  row.sample = NearlyEqual(SignedLogUniform(1e-3, 1e6));
  cases.push_back(row);
}

void AddPercentage(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, double epsilon, Sampler sample) {
    LossCase row{
        .name = std::move(name),
        .params = MeanAbsolutePercentageErrorParams{.epsilon = epsilon},
        .sample = std::move(sample),
        .loss_ulp = 3,
        .kink_distance = Residual,
        .length = Residual};
    row.reference = MeanOfPositive([=](Number p, Number t) {
      return 100 * std::abs(p - t) / std::max<Number>(std::abs(t), epsilon);
    });
    cases.push_back(row);
  };
  add("mape", 1e-7, Elements(Normal(3), Normal(3)));
  add("mape_floor", 0.5, Elements(Normal(3), Normal(0.5)));
  add("mape_zero_targets", 1, Elements(Normal(3), Counts(3)));
  const Draw wide = SignedLogUniform(1e-6, 1e6);
  add("mape_wide", 1e-7, Elements(wide, wide));
  add("mape_nearly_equal", 1e-7, NearlyEqual(SignedLogUniform(1e-3, 1e6)));
}

Sampler WithQuantiles(const Sampler& sampler, double parts) {
  return [=](Random& random, Problem& problem) {
    sampler(random, problem);
    problem.column.clear();
    double part = 0;
    for (size_t k = 0; k < problem.columns(); ++k) {
      part = part + 1 < parts ? part + 1 : 1;
      problem.column.push_back(part / parts);
    }
  };
}

void AddQuantile(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, std::optional<double> quantile,
                       Sampler sample) {
    LossCase row{.name = std::move(name),
                 .params = QuantileParams{.quantile = quantile},
                 .sample = std::move(sample),
                 .loss_ulp = 2,
                 .gradient_ulp = 3,
                 .kink_distance = Residual,
                 .length = Residual};
    row.reference = Mean([=](const RowInputs& inputs, size_t k) {
      const Number tau =
          inputs.column.empty() ? quantile.value_or(0.5) : inputs.column[k];
      const Number d = inputs.targets[k] - inputs.predictions[k];
      const Number loss = std::max(tau * d, (tau - 1) * d);
      return ReferenceRow{loss, loss};
    });
    cases.push_back(row);
  };
  const Sampler normal = Elements(Normal(3), Normal(3));
  add("quantile", std::nullopt, normal);
  add("quantile_high", 0.9, normal);
  // 1 - tau and tau of very different sizes.
  add("quantile_extreme", 0.99999, normal);
  const Draw wide = SignedLogUniform(1e-30, 1e30);
  add("quantile_wide", 0.1, Elements(wide, wide));
  add("quantile_nearly_equal", 0.25, NearlyEqual(SignedLogUniform(1e-3, 1e6)));
  // Quantiles that a float holds, and that it does not.
  add("quantile_columns_of_eighths", std::nullopt, WithQuantiles(normal, 8));
  add("quantile_columns_of_tenths", std::nullopt, WithQuantiles(normal, 10));
}

void AddPoisson(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, PoissonParams params, Sampler sample) {
    const Number epsilon = params.epsilon.value_or(1e-8);
    const bool logarithms = params.log_input.value_or(true);
    LossCase row{
        .name = std::move(name), .params = params, .sample = std::move(sample)};
    row.reference = Mean([=](const RowInputs& inputs, size_t k) {
      const Number p = inputs.predictions[k];
      const Number t = inputs.targets[k];
      const Number rate = logarithms ? std::exp(p) : p;
      const Number reward = t * (logarithms ? p : LogOfSum(p, epsilon));
      ReferenceRow element{rate - reward, rate + std::abs(reward)};
      if (params.full && t > 1) {
        element.loss += t * std::log(t) - t + std::log(t) / 2 + kHalfLogTwoPi;
        element.scale += t * std::log(t) + t + std::log(t) / 2 + kHalfLogTwoPi;
      }
      return element;
    });
    if (logarithms) {
      row.slope_scale = [](double p, double t) {
        return std::max(std::exp(p), t);
      };
    } else {
      const auto shift = static_cast<double>(epsilon);
      row.length = [=](double p, double) { return p + shift; };
      row.slope_scale = [=](double p, double t) {
        return std::max(1.0, t / (p + shift));
      };
    }
    cases.push_back(row);
  };
  add("poisson", {}, Elements(Normal(1.5), Counts(9)));
  // Up to e^80, near the largest float.
  add("poisson_wide", {}, Elements(Uniform(-80, 80), LogUniform(1e-3, 1e9)));
  add("poisson_full", {.full = true}, Elements(Normal(1.5), Counts(9)));
  add("poisson_full_large", {.full = true},
      Elements(Uniform(10, 15), LogUniform(1e4, 1e7)));
  add("poisson_nearly_right", {}, [](Random& random, Problem& problem) {
    for (size_t i = 0; i < problem.predictions.size(); ++i) {
      const double count = static_cast<double>(random.Below(1000) + 2);
      problem.targets[i] = count;
      problem.predictions[i] =
          std::log(count) * (1 + random.LogUniform(1e-6, 1e-3));
    }
  });
  const PoissonParams rates{.log_input = false};
  add("poisson_rates", rates, Elements(LogUniform(1e-3, 1e3), Counts(9)));
  // The logarithm is that of nearly 1, and counts multiply its error.
  add("poisson_rates_near_one", rates,
      Elements(Uniform(0.999, 1.001), LogUniform(1, 1e6)));
  add("poisson_rates_epsilon_one", {.log_input = false, .epsilon = 1},
      Elements(LogUniform(1e-6, 10), LogUniform(1, 1e6)));
  add("poisson_rates_full", {.log_input = false, .full = true},
      Elements(LogUniform(1e-3, 1e3), Counts(9)));
}

void AddGaussianNll(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, GaussianNllParams params,
                       Sampler sample) {
    LossCase row{.name = std::move(name),
                 .params = params,
                 .sample = std::move(sample),
                 .gradient_ulp = 6,
                 .length = Size};
    row.reference = Mean([=](const RowInputs& inputs, size_t k) {
      const Number r = inputs.predictions[k] - inputs.targets[k];
      const auto variances = inputs.extras.find("variance");
      const bool given = variances != inputs.extras.end();
      const Number log =
          given
              ? std::log(std::max<Number>(variances->second[k], params.epsilon))
              : inputs.extras.at("log_variance")[k];
      const Number square =
          given ? r * r / std::max<Number>(variances->second[k], params.epsilon)
                : r * r * std::exp(-log);
      const Number constant = params.full ? kHalfLogTwoPi : 0;
      return ReferenceRow{(log + square) / 2 + constant,
                          (std::abs(log) + square) / 2 + constant};
    });
    row.extra_length_at = [](const Problem& problem, const std::string& extra,
                             size_t i) {
      return extra == "variance" ? ExtraOf(problem, extra)[i] : 1;
    };
    // The two terms of the slope of the second input.
    row.slope_scale_at = [](const Problem& problem, const std::string& extra,
                            size_t i) {
      if (extra.empty()) return 0.0;
      const double r = Residual(problem.predictions[i], problem.targets[i]);
      const double number = ExtraOf(problem, extra)[i];
      const auto columns = static_cast<double>(problem.columns());
      return (extra == "variance"
                  ? std::max(1 / number, r * r / number / number)
                  : std::max(1.0, r * r * std::exp(-number))) /
             2 / columns;
    };
    cases.push_back(row);
  };
  const Sampler normal = Elements(Normal(3), Normal(3));
  const Sampler variance = WithExtra(normal, "variance", LogUniform(1e-3, 1e3));
  const Sampler logarithm = WithExtra(normal, "log_variance", Normal(3));
  add("gaussian_nll_variance", {}, variance);
  add("gaussian_nll_variance_full", {.full = true}, variance);
  // Down to the floor.
  add("gaussian_nll_variance_wide", {.epsilon = 1e-10},
      WithExtra(Elements(SignedLogUniform(1e-6, 1e6), Normal(1e-3)), "variance",
                LogUniform(1e-9, 1e6)));
  // The logarithm is that of nearly 1.
  add("gaussian_nll_variance_near_one", {},
      WithExtra(NearlyEqual(Normal(1e-3)), "variance", Uniform(0.999, 1.001)));
  add("gaussian_nll_log_variance", {}, logarithm);
  add("gaussian_nll_log_variance_full", {.full = true}, logarithm);
  add("gaussian_nll_log_variance_wide", {},
      WithExtra(Elements(SignedLogUniform(1e-6, 1e6), Normal(1e-3)),
                "log_variance", Uniform(-20, 60)));
}

// e^w - 1 - w.
Number Above(Number w) {
  if (std::abs(w) > 0.5L) return std::expm1(w) - w;
  Number sum = 0;
  Number term = w;
  for (int k = 2; k < 40; ++k) sum += term *= w / k;
  return sum;
}

void AddGaussianKl(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, Sampler sample) {
    LossCase row{.name = std::move(name), .params = GaussianKlParams{}};
    row.sample = [=](Random& random, Problem& problem) {
      sample(random, problem);
      problem.targets.clear();
    };
    row.reference = [](const RowInputs& row_inputs) {
      return SumOf(
          [](const RowInputs& inputs, size_t k) {
            const auto number = [&](const char* extra) {
              const auto found = inputs.extras.find(extra);
              return found == inputs.extras.end() ? 0 : found->second[k];
            };
            const Number d = inputs.predictions[k] - number("prior_mean");
            const Number prior = number("prior_log_variance");
            const Number w = number("log_variance") - prior;
            const Number loss = (d * d * std::exp(-prior) + Above(w)) / 2;
            return ReferenceRow{loss, loss};
          },
          row_inputs);
    };
    // Quadratic in the mean: any length will do.
    row.length_at = [](const Problem& problem, size_t i) {
      return std::max(1e-3, std::abs(problem.predictions[i]));
    };
    row.extra_length_at = [](const Problem& problem, const std::string&,
                             size_t i) {
      const bool prior = problem.extras.back().name == "prior_log_variance";
      const double ratio = ExtraOf(problem, "log_variance")[i] -
                           (prior ? problem.extras.back().numbers[i] : 0);
      return std::min(1.0, std::abs(ratio));
    };
    cases.push_back(row);
  };
  const auto with = [](const Draw& mean, const Draw& log_variance) {
    return WithExtra(Elements(mean, Counts(1)), "log_variance", log_variance);
  };
  const auto prior = [](const Sampler& sampler, const Draw& mean,
                        const Draw& log_variance) {
    return WithExtra(WithExtra(sampler, "prior_mean", mean),
                     "prior_log_variance", log_variance);
  };
  add("gaussian_kl", with(Normal(1), Normal(1)));
  add("gaussian_kl_wide", with(SignedLogUniform(1e-6, 1e6), Uniform(-60, 60)));
  // What is left of e^v - 1 - v is v^2 / 2.
  const Draw small = SignedLogUniform(1e-6, 1e-2);
  add("gaussian_kl_near_prior", with(small, small));
  add("gaussian_kl_prior",
      prior(with(Normal(1), Normal(1)), Normal(1), Normal(1)));
  add("gaussian_kl_prior_wide",
      prior(with(Normal(3), Uniform(-30, 30)), Normal(3), Uniform(-30, 30)));
  add("gaussian_kl_prior_mean_only",
      WithExtra(with(Normal(1), Normal(1)), "prior_mean", Normal(1)));
  add("gaussian_kl_near_its_prior", [=](Random& random, Problem& problem) {
    prior(with(Normal(1), Normal(1)), Normal(1), Normal(1))(random, problem);
    const auto nearly = [&](const std::vector<double>& from,
                            std::vector<double>& to) {
      for (size_t i = 0; i < to.size(); ++i) {
        to[i] = from[i] * (1 + random.LogUniform(1e-6, 1e-3));
      }
    };
    nearly(problem.predictions, problem.extras[1].numbers);
    nearly(problem.extras[0].numbers, problem.extras[2].numbers);
  });
}

}  // namespace

void AddRegressionCases(std::vector<LossCase>& cases) {
  AddSmoothL1(cases);
  AddLogCosh(cases);
  AddPercentage(cases);
  AddQuantile(cases);
  AddPoisson(cases);
  AddGaussianNll(cases);
  AddGaussianKl(cases);
}

}  // namespace lossd::test
