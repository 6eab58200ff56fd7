#include "server/selftest_cases.h"

namespace lossd {
namespace {

constexpr auto kLogits = PredictionKind::kLogits;

// Two rows of three scores.
const std::vector<double> kScores = {2, 1, 0, 0.5, -1.5, 0.25};

}  // namespace

const std::vector<SelfTestCase>& SelfTestCases() {
  static const auto* const cases = new std::vector<SelfTestCase>{
      {.params = MeanSquaredErrorParams{},
       .shape = {4},
       .predictions = {2.5, 0, 2, 8},
       .targets = {3, -0.5, 2.25, 7},
       .loss = 0.390625,
       .gradient = {-0.25, 0.25, -0.125, 0.5}},
      {.params = MeanSquaredLogarithmicErrorParams{},
       .shape = {4},
       .predictions = {2.5, 0, 5, 1},
       .targets = {3, 0.5, 2, 1},
       .loss = 0.16567140015690276,
       .gradient = {-0.019075913232074644, -0.2027325540540822,
                    0.0577622650466621, 0}},
      {.params = MeanAbsoluteErrorParams{},
       .shape = {4},
       .predictions = {2.5, 0, 2, 8},
       .targets = {3, -0.5, 2.25, 7},
       .loss = 0.5625,
       .gradient = {-0.25, 0.25, -0.25, 0.25}},
      {.params = HuberParams{.delta = 0.5},
       .shape = {4},
       .predictions = {2.5, 0, 2, 8},
       .targets = {3, -0.5, 2.25, 7},
       .loss = 0.1640625,
       .gradient = {-0.125, 0.125, -0.0625, 0.125}},
      {.params = BinaryCrossEntropyParams{.prediction_kind = kLogits},
       .shape = {4},
       .predictions = {1.25, -0.75, 0.5, -2},
       .targets = {1, 0, 0.5, 1},
       .loss = 0.872451270670838,
       .gradient = {-0.05567503470632723, 0.08020532520615176,
                    0.03061483280046365, -0.2201992694944706}},
      {.params = HingeParams{},
       .shape = {4},
       .predictions = {0.25, -1.5, 2, -0.5},
       .targets = {1, -1, 1, 1},
       .loss = 0.5625,
       .gradient = {-0.25, 0, 0, -0.25}},
      {.params = CategoricalCrossEntropyParams{.prediction_kind = kLogits},
       .shape = {2, 3},
       .predictions = kScores,
       .targets = {0, 0.5, 0.5, 1, 0, 0},
       .loss = 1.2784361724867273,
       .gradient = {0.3326204778874109, -0.12763576447260117,
                    -0.20498471341480978, -0.23878554988810224,
                    0.03535153159138973, 0.20343401829671243}},
      {.params =
           SparseCategoricalCrossEntropyParams{.prediction_kind = kLogits},
       .shape = {2, 3},
       .predictions = kScores,
       .labels = {2, 0},
       .loss = 1.5284361724867273,
       .gradient = {0.3326204778874109, 0.12236423552739882,
                    -0.4549847134148098, -0.23878554988810224,
                    0.03535153159138973, 0.20343401829671243}},
      {.params = KullbackLeiblerDivergenceParams{.prediction_kind = kLogits},
       .shape = {2, 3},
       .predictions = kScores,
       .targets = {0.25, 0.25, 0.5, 0.5, 0.5, 0},
       .loss = 0.7870021967867956,
       .gradient = {0.2076204778874109, -0.002635764472601179,
                    -0.20498471341480978, 0.011214450111897756,
                    -0.21464846840861027, 0.20343401829671243}}};
  return *cases;
}

}  // namespace lossd
