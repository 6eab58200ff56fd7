#include "tests/bench/peers.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace lossd::bench {
namespace {

// One loop over all elements; fast-math lets gcc take its vector exp and log.
template <class Element>
double Elementwise(const FusedArgs& args, Element element) {
  const float* const predictions = args.predictions;
  const float* const targets = args.targets;
  float* const gradient = args.gradient;
  const size_t count = args.rows * args.columns;
  const float scale = 1.f / static_cast<float>(count);
  double sum = 0;
#pragma omp parallel for simd default(none)                            \
    shared(predictions, targets, gradient, count, scale, element)      \
        schedule(static) reduction(+ : sum) num_threads(args.threads)
  for (size_t i = 0; i < count; ++i) {
    float value = 0;
    float slope = 0;
    element(predictions[i], targets[i], value, slope);
    gradient[i] = slope * scale;
    sum += static_cast<double>(value);
  }
  return sum / static_cast<double>(count);
}

double Squared(const FusedArgs& args) {
  return Elementwise(args, [](float p, float t, float& value, float& slope) {
    value = (p - t) * (p - t);
    slope = 2 * (p - t);
  });
}

double Absolute(const FusedArgs& args) {
  return Elementwise(args, [](float p, float t, float& value, float& slope) {
    value = std::fabs(p - t);
    slope = p > t ? 1.f : p < t ? -1.f : 0.f;
  });
}

double Huber(const FusedArgs& args) {
  return Elementwise(args, [](float p, float t, float& value, float& slope) {
    slope = std::min(std::max(p - t, -1.f), 1.f);
    value = slope * (p - t - 0.5f * slope);
  });
}

double Hinge(const FusedArgs& args) {
  return Elementwise(args, [](float p, float t, float& value, float& slope) {
    value = std::max(0.f, 1 - p * t);
    slope = value > 0 ? -t : 0.f;
  });
}

double BinaryCrossEntropy(const FusedArgs& args) {
  return Elementwise(args, [](float p, float t, float& value, float& slope) {
    const float e = std::exp(-std::fabs(p));
    const float q = 1 / (1 + e);
    value = std::max(p, 0.f) - p * t + std::log(1 + e);
    slope = (p >= 0 ? q : e * q) - t;
  });
}

double SquaredLogarithmic(const FusedArgs& args) {
  return Elementwise(args, [](float p, float t, float& value, float& slope) {
    const float difference = std::log(1 + p) - std::log(1 + t);
    value = difference * difference;
    slope = 2 * difference / (1 + p);
  });
}

float Largest(const float* row, size_t columns) {
  float top = row[0];
#pragma omp simd reduction(max : top)
  for (size_t c = 0; c < columns; ++c) top = std::max(top, row[c]);
  return top;
}

// `row_loss(row, scale)` returns the loss of a row and writes its gradient
// times the scale.
template <class Row>
double Rowwise(const FusedArgs& args, Row row_loss) {
  const size_t rows = args.rows;
  const float scale = 1.f / static_cast<float>(rows);
  double sum = 0;
#pragma omp parallel for default(none) shared(args, rows, scale, row_loss) \
    schedule(static) reduction(+ : sum) num_threads(args.threads)
  for (size_t row = 0; row < rows; ++row) {
    sum += static_cast<double>(row_loss(row, scale));
  }
  return sum / static_cast<double>(rows);
}

double SparseCrossEntropy(const FusedArgs& args) {
  return Rowwise(args, [&](size_t row, float scale) {
    const size_t columns = args.columns;
    const float* const x = args.predictions + row * columns;
    float* const out = args.gradient + row * columns;
    const float top = Largest(x, columns);
    float total = 0;
#pragma omp simd reduction(+ : total)
    for (size_t c = 0; c < columns; ++c) {
      out[c] = std::exp(x[c] - top);
      total += out[c];
    }
    const float factor = scale / total;
#pragma omp simd
    for (size_t c = 0; c < columns; ++c) out[c] *= factor;
    const int64_t label = args.labels[row];
    out[label] -= scale;
    return std::log(total) + top - x[label];
  });
}

// Cross-entropy against a distribution; with `divergence` less its entropy.
template <bool divergence>
double SoftCrossEntropy(const FusedArgs& args) {
  return Rowwise(args, [&](size_t row, float scale) {
    const size_t columns = args.columns;
    const float* const x = args.predictions + row * columns;
    const float* const t = args.targets + row * columns;
    float* const out = args.gradient + row * columns;
    const float top = Largest(x, columns);
    float total = 0;
    float weight = 0;
    float dot = 0;
#pragma omp simd reduction(+ : total, weight, dot)
    for (size_t c = 0; c < columns; ++c) {
      out[c] = std::exp(x[c] - top);
      total += out[c];
      weight += t[c];
      float term = x[c] - top;
      if constexpr (divergence) {
        // 0 log 0 is 0.
        term -= std::log(std::max(t[c], std::numeric_limits<float>::min()));
      }
      dot += t[c] * term;
    }
    const float factor = weight / total;
#pragma omp simd
    for (size_t c = 0; c < columns; ++c) {
      out[c] = scale * (out[c] * factor - t[c]);
    }
    return weight * std::log(total) - dot;
  });
}

struct Entry {
  const char* loss;
  Fused fused;
};

constexpr Entry kTable[] = {
    {"mean_squared_error", Squared},
    {"mean_squared_logarithmic_error", SquaredLogarithmic},
    {"mean_absolute_error", Absolute},
    {"huber", Huber},
    {"binary_cross_entropy", BinaryCrossEntropy},
    {"hinge", Hinge},
    {"categorical_cross_entropy", SoftCrossEntropy<false>},
    {"sparse_categorical_cross_entropy", SparseCrossEntropy},
    {"kullback_leibler_divergence", SoftCrossEntropy<true>},
};

}  // namespace

void Triad(const float* a, const float* b, float* c, size_t count,
           int threads) {
#pragma omp parallel for simd default(none) shared(a, b, c, count) \
    schedule(static) num_threads(threads)
  for (size_t i = 0; i < count; ++i) c[i] = a[i] + 3.f * b[i];
}

Fused FindFused(const char* loss) {
  for (const Entry& entry : kTable) {
    if (std::strcmp(entry.loss, loss) == 0) return entry.fused;
  }
  return nullptr;
}

}  // namespace lossd::bench
