#ifndef LOSSD_LIB_CORE_SCRATCH_H_
#define LOSSD_LIB_CORE_SCRATCH_H_

#include <cstddef>
#include <cstdint>

namespace lossd {

// Who asks: two uses at the same time on one thread never share memory.
enum class ScratchUse : uint8_t {
  kPredictions,
  kTargets,
  kLabels,
  kGradient,
  kKernel,
};

// Room for `count` uninitialised numbers (float, double or int64_t), aligned
// to 64 bytes, of the calling thread; valid until that thread asks again for
// the same use. Kept until the thread ends, so that blocks do not allocate.
template <class T>
T* Scratch(ScratchUse use, size_t count);

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_SCRATCH_H_
