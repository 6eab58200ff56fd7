#include "lib/core/bytes.h"

#include <algorithm>
#include <cstring>

namespace lossd {

const std::byte* Bytes::ReadPieces(size_t begin, size_t size,
                                   void* scratch) const {
  const auto pieces = is_window() ? window_->pieces : pieces_;
  auto piece = std::upper_bound(
      pieces.begin(), pieces.end(), begin,
      [](size_t place, const Piece& each) { return place < each.begin; });
  --piece;
  size_t skipped = begin - piece->begin;
  if (size <= piece->bytes.size() - skipped) {
    return piece->bytes.data() + skipped;
  }
  auto* to = static_cast<std::byte*>(scratch);
  for (size_t left = size; left > 0; ++piece) {
    const auto rest = piece->bytes.subspan(skipped);
    const size_t taken = std::min(left, rest.size());
    // An empty piece may have no memory, which memcpy does not take.
    if (taken > 0) std::memcpy(to, rest.data(), taken);
    to += taken;
    left -= taken;
    skipped = 0;
  }
  return static_cast<const std::byte*>(scratch);
}

}  // namespace lossd
