#include "lib/core/scratch.h"

#include <array>
#include <memory>
#include <new>

namespace lossd {
namespace {

constexpr std::align_val_t kAlignment{64};

struct Deleter {
  void operator()(std::byte* memory) const {
    ::operator delete[](memory, kAlignment);
  }
};

struct Buffer {
  std::unique_ptr<std::byte[], Deleter> memory;
  size_t bytes = 0;
};

}  // namespace

template <class T>
T* Scratch(ScratchUse use, size_t count) {
  static thread_local std::array<Buffer, 5> buffers;
  Buffer& buffer = buffers[static_cast<size_t>(use)];
  const size_t bytes = count * sizeof(T);
  if (bytes > buffer.bytes) {
    buffer.memory.reset();
    buffer.bytes = 0;
    buffer.memory.reset(new (kAlignment) std::byte[bytes]);
    buffer.bytes = bytes;
  }
  return reinterpret_cast<T*>(buffer.memory.get());
}

template float* Scratch(ScratchUse, size_t);
template double* Scratch(ScratchUse, size_t);
template int64_t* Scratch(ScratchUse, size_t);

}  // namespace lossd
