#ifndef LOSSD_LIB_CORE_SCRATCH_H_
#define LOSSD_LIB_CORE_SCRATCH_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <new>

#include "lib/kernels/loss_kernel.h"

namespace lossd {

// Who asks: two uses at the same time on one thread never share memory.
enum class ScratchUse : uint8_t {
  kPredictions,
  kTargets,
  kLabels,
  kKernel,
  kPieces,
  kRowMask,
  kRowLabels,
  kRowWeights,
  kRowUpstream,
  kGradients,                            // and the next kMaxGradients - 1
  kExtras = kGradients + kMaxGradients,  // and the next kMaxExtras - 1
  kCount = kExtras + kMaxExtras,
};

// The use for the n-th of several tensors.
constexpr ScratchUse NthUse(ScratchUse first, size_t n) {
  return static_cast<ScratchUse>(static_cast<size_t>(first) + n);
}

// Uninitialised memory for a block's work. What is small belongs to the thread
// and is used again, so that blocks do not allocate; a row that is longer than
// a block gets memory of its own, which goes with it.
class ScratchMemory {
 public:
  // Throws std::bad_alloc.
  ScratchMemory(ScratchUse use, size_t bytes);

  std::byte* data() const { return data_; }

  static constexpr std::align_val_t kAlignment{64};
  struct Deleter {
    void operator()(std::byte* memory) const {
      ::operator delete[](memory, kAlignment);
    }
  };

 private:
  std::unique_ptr<std::byte[], Deleter> own_;
  std::byte* data_;
};

// Room for `count` numbers, aligned to 64 bytes. Of the calling thread: one
// object of a use at a time.
template <class T>
class Scratch {
 public:
  Scratch(ScratchUse use, size_t count) : memory_(use, count * sizeof(T)) {}

  T* data() const { return reinterpret_cast<T*>(memory_.data()); }

 private:
  ScratchMemory memory_;
};

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_SCRATCH_H_
