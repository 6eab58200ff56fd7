#include "server/buffer_pool.h"

#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cstdlib>
#include <map>
#include <mutex>
#include <new>
#include <utility>
#include <vector>

namespace lossd {
namespace {

constexpr size_t kAlignment = 64;
// Smaller buffers come from malloc, which would keep larger ones for itself.
constexpr size_t kMapFrom = size_t{1} << 20;
constexpr size_t kHugePage = size_t{2} << 20;
constexpr size_t kMaxBytes = size_t{1} << 60;

// Counted in units of 64 bytes, n lies in (4, 8] times a power of two, which is
// the step.
size_t RoundUp(size_t bytes) {
  const size_t n = (std::max<size_t>(bytes, 1) - 1) / kAlignment;
  const size_t shift = std::max<size_t>(std::bit_width(n), 3) - 3;
  return ((n >> shift) + 1) << shift << 6;
}

void* Map(size_t bytes) {
  // Only whole huge pages can be used as such, and the kernel aligns to pages.
  const size_t excess = bytes >= kHugePage ? kHugePage : 0;
  void* raw = mmap(nullptr, bytes + excess, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (raw == MAP_FAILED) throw std::bad_alloc();
  if (excess == 0) return raw;
  auto* const start = static_cast<std::byte*>(raw);
  size_t space = bytes + excess;
  void* aligned = raw;
  std::align(kHugePage, bytes, aligned, space);
  const size_t before = bytes + excess - space;
  const size_t after = space - bytes;
  if (before > 0) munmap(start, before);
  if (after > 0) munmap(start + before + bytes, after);
  // Where there are no huge pages, small ones do.
  madvise(aligned, bytes, MADV_HUGEPAGE);
  return aligned;
}

}  // namespace

struct Buffer::Block {
  explicit Block(size_t rounded_bytes)
      : capacity(rounded_bytes),
        memory(static_cast<std::byte*>(
            capacity >= kMapFrom ? Map(capacity)
                                 : std::aligned_alloc(kAlignment, capacity))) {
    if (memory == nullptr) throw std::bad_alloc();
  }
  ~Block() {
    if (capacity >= kMapFrom) {
      munmap(memory, capacity);
    } else {
      std::free(memory);
    }
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;

  const size_t capacity;
  std::byte* const memory;
  size_t size = 0;
  // While it is in use.
  std::shared_ptr<BufferPool::State> pool;
};

struct BufferPool::State {
  using Block = Buffer::Block;
  using BlockPointer = std::unique_ptr<Block>;

  struct SizeClass {
    // The one used last, which caches may hold, stands last. Has room for all
    // there are, so that giving back needs no memory.
    std::vector<BlockPointer> free;
    size_t blocks = 0;
    // The fewest that were free since the last TrimIdle.
    size_t idle = 0;
    uint64_t last_return = 0;
  };

  explicit State(int64_t max_free_bytes) : max_free(max_free_bytes) {}

  // Null if none is free.
  BlockPointer TakeFree(size_t capacity) {
    const std::lock_guard lock(mutex);
    SizeClass& size_class = classes[capacity];
    if (size_class.free.empty()) return nullptr;
    BlockPointer block = std::move(size_class.free.back());
    size_class.free.pop_back();
    size_class.idle = std::min(size_class.idle, size_class.free.size());
    figures.free -= static_cast<int64_t>(capacity);
    figures.used += static_cast<int64_t>(capacity);
    return block;
  }

  BlockPointer Allocate(size_t capacity) {
    BlockPointer block;
    try {
      block = std::make_unique<Block>(capacity);
    } catch (const std::bad_alloc&) {
      FreeDownTo(0);
      block = std::make_unique<Block>(capacity);
    }
    const std::lock_guard lock(mutex);
    SizeClass& size_class = classes[capacity];
    size_class.free.reserve(size_class.blocks + 1);
    ++size_class.blocks;
    ++figures.misses;
    figures.used += static_cast<int64_t>(capacity);
    return block;
  }

  void Return(BlockPointer block) {
    const auto bytes = static_cast<int64_t>(block->capacity);
    int64_t limit = 0;
    {
      const std::lock_guard lock(mutex);
      SizeClass& size_class = classes[block->capacity];
      figures.used -= bytes;
      limit = max_free;
      if (bytes <= limit) {
        size_class.last_return = ++returns;
        size_class.free.push_back(std::move(block));
        figures.free += bytes;
      } else {
        // It would drive out all others, and go then.
        --size_class.blocks;
      }
    }
    FreeDownTo(limit);
  }

  // One block a lock: gathering them would need memory.
  void FreeDownTo(int64_t bytes) {
    while (const BlockPointer victim = TakeLeastRecent(bytes)) {
    }
  }

  BlockPointer TakeLeastRecent(int64_t max_free_bytes) {
    const std::lock_guard lock(mutex);
    if (figures.free <= max_free_bytes) return nullptr;
    SizeClass* oldest = nullptr;
    for (auto& [capacity, size_class] : classes) {
      if (!size_class.free.empty() &&
          (oldest == nullptr || size_class.last_return < oldest->last_return)) {
        oldest = &size_class;
      }
    }
    return TakeOldest(*oldest);
  }

  BlockPointer TakeIdle() {
    const std::lock_guard lock(mutex);
    for (auto& [capacity, size_class] : classes) {
      if (size_class.idle > 0) return TakeOldest(size_class);
    }
    for (auto& [capacity, size_class] : classes) {
      size_class.idle = size_class.free.size();
    }
    return nullptr;
  }

  // Needs the lock. Out of the pool for good.
  BlockPointer TakeOldest(SizeClass& size_class) {
    BlockPointer block = std::move(size_class.free.front());
    size_class.free.erase(size_class.free.begin());
    --size_class.blocks;
    if (size_class.idle > 0) --size_class.idle;
    figures.free -= static_cast<int64_t>(block->capacity);
    return block;
  }

  mutable std::mutex mutex;
  int64_t max_free;
  uint64_t returns = 0;
  // By capacity.
  std::map<size_t, SizeClass> classes;
  Figures figures;
};

std::byte* Buffer::data() const {
  return block_ == nullptr ? nullptr : block_->memory;
}

size_t Buffer::size() const { return block_ == nullptr ? 0 : block_->size; }

Buffer Buffer::FromToken(void* token) {
  return Buffer(static_cast<Block*>(token));
}

void Buffer::ReturnToPool::operator()(Block* block) const {
  // What is free must not keep its pool alive.
  const std::shared_ptr<BufferPool::State> pool = std::move(block->pool);
  pool->Return(std::unique_ptr<Block>(block));
}

BufferPool::BufferPool(int64_t max_free_bytes)
    : state_(std::make_shared<State>(max_free_bytes)) {}

BufferPool::~BufferPool() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->max_free = 0;
  }
  state_->FreeDownTo(0);
}

Buffer BufferPool::Get(size_t bytes) {
  if (bytes > kMaxBytes) throw std::bad_alloc();
  const size_t capacity = RoundUp(bytes);
  State::BlockPointer block = state_->TakeFree(capacity);
  if (block == nullptr) block = state_->Allocate(capacity);
  block->size = bytes;
  block->pool = state_;
  return Buffer(block.release());
}

void BufferPool::TrimIdle() {
  while (const State::BlockPointer idle = state_->TakeIdle()) {
  }
}

BufferPool::Figures BufferPool::figures() const {
  const std::lock_guard lock(state_->mutex);
  return state_->figures;
}

}  // namespace lossd
