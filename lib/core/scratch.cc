#include "lib/core/scratch.h"

#include <array>

namespace lossd {
namespace {

// Twice what the largest use needs for a block of kBlockElements doubles.
constexpr size_t kKeptBytes = size_t{256} << 10;

std::byte* Allocate(size_t bytes) {
  return new (ScratchMemory::kAlignment) std::byte[bytes];
}

}  // namespace

ScratchMemory::ScratchMemory(ScratchUse use, size_t bytes) {
  if (bytes > kKeptBytes) {
    own_.reset(Allocate(bytes));
    data_ = own_.get();
    return;
  }
  static thread_local std::array<std::unique_ptr<std::byte[], Deleter>,
                                 static_cast<size_t>(ScratchUse::kCount)>
      kept;
  auto& memory = kept[static_cast<size_t>(use)];
  if (!memory) memory.reset(Allocate(kKeptBytes));
  data_ = memory.get();
}

}  // namespace lossd
