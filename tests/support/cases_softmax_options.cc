#include <utility>

#include "tests/support/loss_case_groups.h"
#include "tests/support/row_samplers.h"
#include "tests/support/samplers.h"

namespace lossd::test {
namespace {

constexpr auto kLogits = PredictionKind::kLogits;
constexpr auto kProbabilities = PredictionKind::kProbabilities;

// Weights of a few classes a row, which add up to less than 1, one of them
// twice and one of them padding.
Sampler TopK(const FillRow& predictions) {
  return [=](Random& random, Problem& problem) {
    RowsOf(predictions, [](Random&, std::span<double>) {})(random, problem);
    problem.targets.clear();
    problem.target_indices.clear();
    const auto columns = static_cast<int64_t>(problem.columns());
    for (size_t row = 0; row < problem.rows(); ++row) {
      const int64_t first = random.Below(columns);
      for (const int64_t index :
           {first, random.Below(columns), first, int64_t{-1}}) {
        problem.target_indices.push_back(index);
        problem.targets.push_back(index < 0 ? 0 : random.Uniform(0.01, 0.3));
      }
    }
  };
}

}  // namespace

void AddSoftmaxOptionCases(std::vector<LossCase>& cases) {
  const auto add = [&](std::string name, LossParams params, Sampler sample) {
    cases.push_back({.name = std::move(name),
                     .params = std::move(params),
                     .sample = std::move(sample)});
  };
  using Dense = CategoricalCrossEntropyParams;
  using Sparse = SparseCategoricalCrossEntropyParams;
  using Divergence = KullbackLeiblerDivergenceParams;
  const FillRow logits = FillLogits(3);
  add("cce_softcap", Dense{.prediction_kind = kLogits, .logit_softcap = 5},
      RowsOf(logits, FillSoft));
  add("cce_temperature", Dense{.prediction_kind = kLogits, .temperature = 2.5},
      RowsOf(logits, FillOneHot));
  add("scce_softcap_temperature",
      Sparse{.prediction_kind = kLogits,
             .label_smoothing = 0.1,
             .logit_softcap = 4,
             .temperature = 0.5},
      LabelsOf(logits));
  add("scce_temperature", Sparse{.prediction_kind = kLogits, .temperature = 3},
      WithClassWeights(LabelsOf(logits)));
  add("kld_temperature",
      Divergence{.prediction_kind = kLogits, .temperature = 2},
      RowsOf(logits, FillSoft));
  add("kld_temperature_not_squared",
      Divergence{.prediction_kind = kLogits,
                 .temperature = 0.7,
                 .temperature_squared = false},
      RowsOf(logits, FillSoft));
  add("cce_top_k_drop", Dense{.prediction_kind = kLogits}, TopK(logits));
  add("cce_top_k_renormalize",
      Dense{.prediction_kind = kLogits,
            .tail_policy = TailPolicy::kRenormalize},
      TopK(logits));
  add("cce_top_k_uniform_tail",
      Dense{.prediction_kind = kLogits,
            .tail_policy = TailPolicy::kUniformTail},
      TopK(logits));
  add("cce_top_k_options",
      Dense{.prediction_kind = kLogits, .label_smoothing = 0.1, .z_loss = 0.01},
      WithClassWeights(TopK(logits)));
  add("cce_top_k_log_probabilities",
      Dense{.prediction_kind = PredictionKind::kLogProbabilities},
      TopK(FillLogarithms));
  add("cce_top_k_probabilities", Dense{.prediction_kind = kProbabilities},
      TopK(FillDistribution));
  cases.back().length = ToZero;
}

}  // namespace lossd::test
