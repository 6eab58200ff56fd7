#ifndef LOSSD_LIB_CORE_SPEC_H_
#define LOSSD_LIB_CORE_SPEC_H_

#include <cstdint>

namespace lossd {

// How row losses become one loss; w is a row's weight, rows that are masked or
// ignored take part nowhere.
enum class Reduction : uint8_t {
  kNone,          // row losses only
  kSum,           // sum of w * row loss
  kMean,          // that sum / rows that count (or / an explicit normalizer)
  kWeightedMean,  // that sum / sum of w (times the row's class weight)
  kBatchMean,     // that sum / size of the first axis, masked rows included
};

// Whose conventions decide what the options leave open. This version computes
// kStrict; the others are UNIMPLEMENTED.
enum class Semantics : uint8_t { kStrict, kPytorch, kKeras };

// What predictions are. kUnspecified is refused wherever it matters.
enum class PredictionKind : uint8_t {
  kUnspecified,
  kLogits,
  kProbabilities,
  kLogProbabilities,
};

// What the targets of the Kullback-Leibler divergence are.
enum class TargetKind : uint8_t { kProbabilities, kLogProbabilities };

// How the classes of hinge are written.
enum class LabelEncoding : uint8_t { kPlusMinusOne, kZeroOne };

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_SPEC_H_
