// What losses are measured against: the memory's bandwidth, and loops as an
// engineer in a hurry writes them. Built as a shared library with fast-math,
// for the machine it is built on, so that neither reaches code of the product.

#ifndef LOSSD_TESTS_BENCH_PEERS_H_
#define LOSSD_TESTS_BENCH_PEERS_H_

#include <cstddef>
#include <cstdint>

#define LOSSD_BENCH_EXPORT __attribute__((visibility("default")))

namespace lossd::bench {

// STREAM's triad c = a + 3 b: moves 12 bytes an element.
LOSSD_BENCH_EXPORT void Triad(const float* a, const float* b, float* c,
                              size_t count, int threads);

// Tensors of a call: rows x columns predictions, dense targets or labels, and
// room for the gradient.
struct FusedArgs {
  const float* predictions = nullptr;
  const float* targets = nullptr;
  const int64_t* labels = nullptr;
  float* gradient = nullptr;
  size_t rows = 0;
  size_t columns = 0;
  int threads = 1;
};

// Writes the gradient of the mean over rows, returns that mean.
using Fused = double (*)(const FusedArgs&);

// By the registry's name of the loss, its options at their defaults and
// predictions logits; null for a loss that has no loop here.
LOSSD_BENCH_EXPORT Fused FindFused(const char* loss);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_PEERS_H_
