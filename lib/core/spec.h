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

// Whose conventions decide what the options leave open; the losses' headers
// say what that is, compute.h what it is for all of them.
enum class Semantics : uint8_t { kStrict, kPytorch, kKeras };

// The enums of options below have the numbers of their namesakes in lossd.v1.

// What predictions are. kUnspecified is refused wherever it matters, unless
// the semantics has a convention.
enum class PredictionKind : uint8_t {
  kUnspecified = 0,
  kLogits = 1,
  kProbabilities = 2,
  kLogProbabilities = 3,
};

// What the targets of the Kullback-Leibler divergence are.
enum class TargetKind : uint8_t { kProbabilities = 1, kLogProbabilities = 2 };

// How two classes are written.
enum class LabelEncoding : uint8_t { kPlusMinusOne = 1, kZeroOne = 2 };

// What becomes of the mass that top-k targets leave to the other classes.
enum class TailPolicy : uint8_t {
  kDrop = 1,
  kRenormalize = 2,
  kUniformTail = 3
};

// What one value of a loss over sets is computed from. kUnspecified: what the
// semantics says.
enum class Scope : uint8_t { kUnspecified = 0, kSample = 1, kBatch = 2 };

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_SPEC_H_
