// Memory for tensors, used again and again: what comes fresh from the system
// costs a page fault for every page.

#ifndef LOSSD_SERVER_BUFFER_POOL_H_
#define LOSSD_SERVER_BUFFER_POOL_H_

#include <cstddef>
#include <cstdint>
#include <memory>

namespace lossd {

// Memory that goes back to its pool when this is destroyed or overwritten: on
// any thread, also after the pool's own end. Empty when default-constructed,
// moved from or released. One thread at a time.
class Buffer {
 public:
  Buffer() = default;

  // Aligned to 64 bytes, from 1 MiB on to pages, from 2 MiB on to huge pages.
  // Holds what its last owner left there. Null when empty.
  std::byte* data() const;
  // What Get was asked for; 0 when empty.
  size_t size() const;

  // For callbacks that carry one pointer: gives up the buffer for a token, of
  // which FromToken makes it again, once. An empty buffer's token is null.
  [[nodiscard]] void* Release() { return block_.release(); }
  static Buffer FromToken(void* token);

 private:
  friend class BufferPool;
  struct Block;
  struct ReturnToPool {
    void operator()(Block* block) const;
  };
  explicit Buffer(Block* block) : block_(block) {}

  std::unique_ptr<Block, ReturnToPool> block_;
};

// Hands out buffers and keeps them when they come back. Sizes are rounded up to
// one of four steps between powers of two, at most by a quarter and 63 bytes.
// All functions are thread-safe; no lock is held during system calls.
class BufferPool {
 public:
  struct Figures {
    // Bytes of buffers handed out and of those that wait, as rounded up.
    int64_t used = 0;
    int64_t free = 0;
    // Buffers that had to be allocated.
    uint64_t misses = 0;
  };

  // At most `max_free_bytes` wait to be used again; beyond that the sizes of
  // which none came back for longest go first. With 0 nothing waits, so that
  // every use of a buffer after its end is one of freed memory.
  explicit BufferPool(int64_t max_free_bytes);
  // Frees what waits; buffers still in use free themselves.
  ~BufferPool();
  BufferPool(const BufferPool&) = delete;
  BufferPool& operator=(const BufferPool&) = delete;

  // A buffer of `bytes`, which may be 0. std::bad_alloc when memory runs out,
  // even after everything that waits was freed.
  Buffer Get(size_t bytes);

  // Frees what has waited ever since the last call: called every so many
  // seconds, it gives memory back one to two such periods after a burst.
  void TrimIdle();

  Figures figures() const;

 private:
  friend class Buffer;
  struct State;
  const std::shared_ptr<State> state_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_BUFFER_POOL_H_
