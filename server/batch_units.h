#ifndef LOSSD_SERVER_BATCH_UNITS_H_
#define LOSSD_SERVER_BATCH_UNITS_H_

#include <algorithm>
#include <cstddef>
#include <vector>

namespace lossd {

// Items of a batch, by their indices, put together to units of work. For one
// thread while items are added, then thread-safe.
class BatchUnits {
 public:
  // A unit that has this many bytes of work takes no further item.
  explicit BatchUnits(size_t unit_bytes) : unit_bytes_(unit_bytes) {}

  void Add(size_t item, size_t bytes) {
    if (units_.empty() || last_bytes_ >= unit_bytes_) {
      units_.emplace_back();
      last_bytes_ = 0;
    }
    units_.back().push_back(item);
    last_bytes_ += bytes;
    bytes_ += bytes;
  }

  size_t size() const { return units_.size(); }
  const std::vector<size_t>& operator[](size_t unit) const {
    return units_[unit];
  }
  // Of a unit's work.
  size_t mean_bytes() const {
    return bytes_ / std::max<size_t>(units_.size(), 1);
  }

 private:
  size_t unit_bytes_;
  std::vector<std::vector<size_t>> units_;
  // Work of the last unit, and of all.
  size_t last_bytes_ = 0;
  size_t bytes_ = 0;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_BATCH_UNITS_H_
