// Ordinary memory for tensors.

#ifndef LOSSD_TESTS_BENCH_BUFFER_H_
#define LOSSD_TESTS_BENCH_BUFFER_H_

#include <cstddef>
#include <memory>
#include <new>
#include <span>

namespace lossd::bench {

// Memory at a cache line's start, written once so that no page is missing.
class Buffer {
 public:
  explicit Buffer(size_t size)
      : size_(size), bytes_(new (kLine) std::byte[size]()) {}

  std::span<std::byte> span() const { return {bytes_.get(), size_}; }
  template <class T>
  T* as() const {
    return reinterpret_cast<T*>(bytes_.get());
  }

 private:
  static constexpr std::align_val_t kLine{64};
  struct Delete {
    void operator()(std::byte* bytes) const { operator delete[](bytes, kLine); }
  };
  size_t size_;
  std::unique_ptr<std::byte[], Delete> bytes_;
};

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_BUFFER_H_
