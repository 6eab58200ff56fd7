#include "client/cli/choose_rules.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "client/cli/options_reflection.h"
#include "client/cli/prediction_kind.h"
#include "client/cli/table.h"
#include "client/cli/tensor_facts.h"

namespace lossd::cli {
namespace {

constexpr char kMse[] = "mean_squared_error";
constexpr char kMsle[] = "mean_squared_logarithmic_error";
constexpr char kMae[] = "mean_absolute_error";
constexpr char kHuber[] = "huber";
constexpr char kBce[] = "binary_cross_entropy";
constexpr char kHinge[] = "hinge";
constexpr char kCce[] = "categorical_cross_entropy";
constexpr char kScce[] = "sparse_categorical_cross_entropy";
constexpr char kKld[] = "kullback_leibler_divergence";

// Gaussian residuals owe 8 % of their squares to the largest 1 %, Laplacian
// ones 16 %, those of Student's t with three degrees of freedom about 30 %.
constexpr double kHeavyShare = 0.2;
// One Gaussian in a million is farther out; without this, the largest of a
// handful of residuals would always look heavy.
constexpr double kOutlierSigmas = 5;
// Huber's estimator then has 95 % of the efficiency of least squares when the
// residuals are Gaussian after all (Huber 1964).
constexpr double kDeltaSigmas = 1.345;

std::string ArrayText(const Array& array) {
  return absl::StrCat(DtypeName(array.dtype), " ", ShapeText(array.shape));
}

ChosenOption KindOption(const Array& predictions, bool distributions) {
  KindJudgement judgement = JudgePredictionKind(predictions, distributions);
  return {"prediction_kind", ShortName(judgement.kind),
          std::move(judgement.evidence)};
}

absl::StatusOr<Recommendation> ChooseForLabels(const Array& predictions,
                                               const Array& targets,
                                               const ArrayFacts& facts) {
  const int64_t classes = predictions.RowLength();
  const std::string shapes =
      absl::StrCat("targets ", ArrayText(targets), " have one axis fewer than ",
                   "predictions ", ArrayText(predictions));
  if (!facts.only_whole) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--targets: ", shapes, " but are no class numbers, allowed: whole ",
        "numbers, or the shape of the predictions"));
  }
  if (classes == 1) {
    return absl::InvalidArgumentError(
        absl::StrCat("--targets: ", shapes, ", which leaves one class, ",
                     "allowed: equal shapes; reshape one to the other"));
  }
  std::set<double> strangers;
  for (int64_t i = 0; i < targets.Size() && strangers.size() < 2; ++i) {
    const double label = targets.Number(i);
    if (label < 0 || label >= static_cast<double>(classes)) {
      strangers.insert(label);
    }
  }
  Recommendation result;
  result.loss = kScce;
  result.rule = "integer labels";
  result.evidence =
      absl::StrCat(shapes, " and are whole numbers, ", RangeText(facts),
                   ", for ", classes, " classes");
  result.options.push_back(KindOption(predictions, true));
  if (strangers.size() == 1 && *strangers.begin() < 0) {
    result.options.push_back({"ignore_index", ExactText(*strangers.begin()),
                              "the only label that is no class, as padding "
                              "is marked"});
  } else if (facts.minimum >= 1 &&
             facts.maximum == static_cast<double>(classes)) {
    result.notes.push_back(absl::StrCat(
        "labels go from ", ShortText(facts.minimum), " to ", classes,
        ": they look 1-based; labels are 0-based here, subtract 1"));
  } else if (!strangers.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--targets: got labels ", RangeText(facts), ", allowed: 0 to ",
        classes - 1, " for the ", classes, " classes of the predictions"));
  }
  if (targets.dtype != v1::DTYPE_INT32 && targets.dtype != v1::DTYPE_INT64) {
    result.notes.push_back(absl::StrCat(
        "labels must be int32 or int64, these are ", DtypeName(targets.dtype),
        ": targets.astype('int64') in NumPy"));
  }
  result.alternatives = {
      {kCce, absl::StrCat("the same value, but from one-hot rows: ", classes,
                          " numbers a row instead of one")},
      {kBce, "for labels that may hold together; here each row has one"}};
  return result;
}

Recommendation ChooseForOneHot(const Array& predictions,
                               const ArrayFacts& prediction_facts) {
  Recommendation result;
  result.rule = "one-hot rows";
  result.evidence = "each row of the targets holds one 1 and zeros";
  if (!prediction_facts.first_outside_unit &&
      !prediction_facts.rows_sum_to_one) {
    result.loss = kBce;
    result.rule = "one-hot rows against independent probabilities";
    absl::StrAppend(&result.evidence,
                    "; the predictions lie in [0, 1], but their rows do not "
                    "sum to 1, as a sigmoid for each class gives them");
    result.options.push_back(KindOption(predictions, false));
    result.alternatives = {
        {kCce, "needs logits, or probabilities whose rows sum to 1"}};
    return result;
  }
  result.loss = kCce;
  result.options.push_back(KindOption(predictions, true));
  result.alternatives = {
      {kScce,
       "the same value from class numbers with far less memory: worth "
       "storing targets.argmax(axis=-1) instead"},
      {kBce, "would train the classes as if they did not exclude each other"},
      {kKld, "the same value, since the entropy of a one-hot row is 0"}};
  return result;
}

Recommendation ChooseForMultiHot(const Array& predictions,
                                 const ArrayFacts& prediction_facts) {
  Recommendation result;
  result.rule = "multi-hot rows";
  result.evidence =
      "targets are 0 and 1, and not every row holds exactly one 1";
  const Alternative sparse = {kScce, "takes one class a row"};
  if (prediction_facts.rows_sum_to_one ||
      prediction_facts.rows_exponentials_sum_to_one) {
    result.loss = kCce;
    result.rule = "multi-hot rows against distributions";
    absl::StrAppend(&result.evidence,
                    "; the predictions are distributions over the classes, so "
                    "the classes of a row share the credit");
    result.options.push_back(KindOption(predictions, true));
    result.alternatives = {
        {kBce, "for predictions with a sigmoid for each class"}, sparse};
    return result;
  }
  result.loss = kBce;
  result.options.push_back(KindOption(predictions, false));
  result.alternatives = {
      {kCce,
       "accepts multi-hot rows, but its softmax makes the classes "
       "compete, and its smallest value is not 0"},
      sparse};
  return result;
}

Recommendation ChooseForDistributions(const Array& predictions) {
  Recommendation result;
  result.loss = kKld;
  result.rule = "distributions as targets";
  result.evidence = "targets lie in [0, 1] and each row sums to 1";
  result.options.push_back(KindOption(predictions, true));
  result.alternatives = {
      {kCce,
       "the same gradient; its value also holds the entropy of the "
       "targets, so it does not reach 0"},
      {kBce, "would train the classes as if they did not exclude each other"}};
  return result;
}

Recommendation ChooseForZeroOne(const Array& predictions) {
  Recommendation result;
  result.loss = kBce;
  result.rule = "targets 0 and 1";
  result.evidence = "every target is 0 or 1";
  result.options.push_back(KindOption(predictions, false));
  result.alternatives = {
      {kHinge,
       "if only the decision matters and not the probability; with "
       "--label_encoding ZERO_ONE"},
      {kMse,
       "barely moves confident mistakes: its slope goes through the "
       "sigmoid"}};
  return result;
}

Recommendation ChooseForSigns() {
  Recommendation result;
  result.loss = kHinge;
  result.rule = "targets -1 and +1";
  result.evidence = "every target is -1 or +1";
  result.alternatives = {
      {kBce, "if probabilities are wanted: with targets (y + 1) / 2"},
      {kMse, "punishes scores beyond the margin that are right"}};
  return result;
}

// Why mean_squared_logarithmic_error is not the loss; empty if it is.
std::string WhyNotLogarithmic(const Array& targets,
                              const ArrayFacts& prediction_facts,
                              const ArrayFacts& target_facts) {
  const double low = target_facts.minimum;
  const double high = target_facts.maximum;
  if (low <= 0) return "targets are not all positive";
  const std::string range =
      absl::StrCat("targets go from ", ShortText(low), " to ", ShortText(high));
  if (high < 1000 * low) return range + ", less than three decades";
  if ((1 + high) < 100 * (1 + low)) {
    return range +
           ", below 1, where log(1 + t) is no logarithm: take the "
           "logarithm beforehand";
  }
  // Uniform numbers have a large ratio too, thanks to a few small ones.
  const double median = MedianOf(targets);
  if (median > high / 10) {
    return absl::StrCat(range, ", but half of them are above ",
                        ShortText(median), ": one decade holds most");
  }
  if (prediction_facts.minimum <= -1) {
    return absl::StrCat("predictions go down to ",
                        ShortText(prediction_facts.minimum),
                        ", it needs numbers above -1");
  }
  return "";
}

Recommendation ChooseForRegression(const Array& predictions,
                                   const Array& targets,
                                   const ArrayFacts& prediction_facts,
                                   const ArrayFacts& target_facts) {
  Recommendation result;
  const ResidualFacts residuals = ResidualsOf(predictions, targets);
  const std::string share = absl::StrFormat(
      "the largest 1 %% of the errors (%d of %d) own %.0f %% of the squared "
      "error; 8 %% would be Gaussian",
      residuals.top_count, residuals.count, 100 * residuals.top_share);
  const bool outlier =
      residuals.largest > kOutlierSigmas * residuals.robust_sigma;
  const bool heavy = residuals.top_share > kHeavyShare && outlier;
  const std::string why_not_logarithmic =
      WhyNotLogarithmic(targets, prediction_facts, target_facts);
  const Alternative absolute = {
      kMae,
      "as robust as huber, but its slope does not shrink near the "
      "minimum, so training does not settle"};
  if (why_not_logarithmic.empty()) {
    result.loss = kMsle;
    result.rule = "positive targets over three decades";
    result.evidence =
        absl::StrCat("targets go from ", ShortText(target_facts.minimum),
                     " to ", ShortText(target_facts.maximum),
                     ", half of them below ", ShortText(MedianOf(targets)));
    result.alternatives = {
        {kMse, "the few largest targets would decide alone"},
        {kHuber, "one delta cannot suit errors of all sizes"}};
    return result;
  }
  if (heavy) {
    const double scale = residuals.robust_sigma > 0 ? residuals.robust_sigma
                                                    : residuals.mean_absolute;
    result.loss = kHuber;
    result.rule = "heavy tails";
    result.evidence = absl::StrCat(share, "; the largest error is ",
                                   ShortText(residuals.largest),
                                   ", the typical one (1.4826 median |error|) ",
                                   ShortText(residuals.robust_sigma));
    result.options.push_back(
        {"delta", ShortText(kDeltaSigmas * scale),
         absl::StrCat(ShortText(kDeltaSigmas),
                      " times the typical error: a start; "
                      "lossctl compare --sweep delta=... tries others")});
    result.alternatives = {{kMse, "outliers would decide: " + share},
                           absolute,
                           {kMsle, why_not_logarithmic}};
    return result;
  }
  result.loss = kMse;
  result.rule = "real targets without heavy tails";
  result.evidence = share;
  result.alternatives = {
      {kHuber, outlier ? "few outliers, and they own little of the error"
                       : "no error is beyond 5 times the typical one: there "
                         "is nothing to be robust against"},
      absolute,
      {kMsle, why_not_logarithmic}};
  return result;
}

// Losses of single elements take finite numbers only, and what is measured of
// their errors needs finite errors.
absl::Status CheckFinite(const Array& predictions, const Array& targets) {
  for (int64_t i = 0; i < predictions.Size(); ++i) {
    const double prediction = predictions.Number(i);
    const double target = targets.Number(i);
    if (std::isfinite(prediction - target)) continue;
    const bool in_targets = std::isfinite(prediction);
    const double number = in_targets ? target : prediction;
    return absl::InvalidArgumentError(absl::StrCat(
        in_targets ? "--targets" : "--predictions", ": element ", i, " is ",
        ShortText(number), ", allowed: ",
        std::isfinite(number) ? "numbers whose difference from the prediction "
                                "is finite"
                              : "finite numbers"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Recommendation> Choose(const Array& predictions,
                                      const Array& targets) {
  if (predictions.Size() == 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--predictions: ", ShapeText(predictions.shape), " holds no element"));
  }
  const ArrayFacts prediction_facts = FactsOf(predictions);
  const ArrayFacts target_facts = FactsOf(targets);
  if (prediction_facts.first_nan) {
    return absl::InvalidArgumentError(
        absl::StrCat("--predictions: element ", *prediction_facts.first_nan,
                     " is nan, which no loss takes"));
  }
  if (target_facts.first_nan) {
    return absl::InvalidArgumentError(
        absl::StrCat("--targets: element ", *target_facts.first_nan,
                     " is nan, which no loss takes"));
  }
  if (targets.shape != predictions.shape) {
    if (targets.shape == RowShape(predictions.shape)) {
      return ChooseForLabels(predictions, targets, target_facts);
    }
    const std::string labels =
        predictions.shape.size() < 2
            ? ""
            : absl::StrCat(", or ", ShapeText(RowShape(predictions.shape)),
                           " for class labels");
    return absl::InvalidArgumentError(absl::StrCat(
        "--targets: got shape ", ShapeText(targets.shape), ", allowed: ",
        ShapeText(predictions.shape), " as the predictions", labels));
  }
  if (predictions.RowLength() >= 2 && target_facts.only_zero_one) {
    return target_facts.rows_one_hot
               ? ChooseForOneHot(predictions, prediction_facts)
               : ChooseForMultiHot(predictions, prediction_facts);
  }
  if (predictions.RowLength() >= 2 && !target_facts.first_outside_unit &&
      target_facts.rows_sum_to_one) {
    return ChooseForDistributions(predictions);
  }
  absl::Status finite = CheckFinite(predictions, targets);
  if (!finite.ok()) return finite;
  if (target_facts.only_zero_one) return ChooseForZeroOne(predictions);
  if (target_facts.only_plus_minus_one) return ChooseForSigns();
  return ChooseForRegression(predictions, targets, prediction_facts,
                             target_facts);
}

}  // namespace lossd::cli
