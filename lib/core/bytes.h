// Bytes of a tensor, wherever they lie.

#ifndef LOSSD_LIB_CORE_BYTES_H_
#define LOSSD_LIB_CORE_BYTES_H_

#include <cstddef>
#include <span>
#include <type_traits>

namespace lossd {

// Some of a tensor's bytes.
struct Piece {
  // Place of the first one among the bytes of the tensor.
  size_t begin = 0;
  std::span<const std::byte> bytes;
};

// The part of a tensor that is there, in order and without gaps: its owner
// moves it along while nobody reads.
struct Window {
  std::span<const Piece> pieces;
};

// The borrowed bytes of a tensor: one run, or pieces as a network delivers
// them, cut anywhere. Thread-safe.
class Bytes {
 public:
  Bytes() = default;

  // One run. Implicit, since that is what most callers have.
  template <class Run, class = std::enable_if_t<std::is_convertible_v<
                           const Run&, std::span<const std::byte>>>>
  // NOLINTNEXTLINE(google-explicit-constructor)
  Bytes(const Run& run) : Bytes(Whole{run}) {}

  // A tensor of `size` bytes in pieces, in order and without gaps between
  // them. They need not be all of it: what is read must be among them. `pieces`
  // is borrowed.
  Bytes(std::span<const Piece> pieces, size_t size)
      : size_(size), pieces_(pieces) {}

  // A tensor of `size` bytes of which only what is read need be in the window
  // at the time. `window` is borrowed.
  Bytes(const Window* window, size_t size) : size_(size), window_(window) {}

  // One run of memory that somebody else may write to at any time: what is
  // used as an index must be copied before it is checked.
  static Bytes Shared(std::span<const std::byte> run) {
    Bytes bytes(run);
    bytes.is_shared_ = true;
    return bytes;
  }
  bool is_shared() const { return is_shared_; }

  // Whether it may be that not all of it can be read yet.
  bool is_window() const { return window_ != nullptr; }

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }

  // Start of the run; null for pieces.
  const std::byte* data() const { return run_; }

  // The bytes [begin, begin + size): where they are if that is one run, else
  // copied into `scratch`, which has room for them.
  const std::byte* Read(size_t begin, size_t size, void* scratch) const {
    if (run_ != nullptr || size == 0) return run_ + (size == 0 ? 0 : begin);
    return ReadPieces(begin, size, scratch);
  }

 private:
  struct Whole {
    std::span<const std::byte> run;
  };
  explicit Bytes(Whole whole)
      : size_(whole.run.size()), run_(whole.run.data()) {}

  const std::byte* ReadPieces(size_t begin, size_t size, void* scratch) const;

  size_t size_ = 0;
  const std::byte* run_ = nullptr;
  std::span<const Piece> pieces_;
  const Window* window_ = nullptr;
  bool is_shared_ = false;
};

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_BYTES_H_
