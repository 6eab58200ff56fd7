// Figures beside the loss, gathered block by block while the numbers are in the
// cache, and what in them looks like a mistake.

#ifndef LOSSD_LIB_CORE_DIAGNOSTICS_H_
#define LOSSD_LIB_CORE_DIAGNOSTICS_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "lib/core/problem.h"

namespace lossd {

struct Diagnostic {
  std::string name;
  double value = 0;
};

// Borrows the problem. Different blocks may be observed at the same time; the
// rest is for one thread.
class Diagnostics {
 public:
  // Nothing is kept unless the problem wants diagnostics.
  explicit Diagnostics(const Problem& problem);

  // Makes room for the blocks before `end`.
  void MakeRoom(size_t end);

  bool wanted() const { return problem_.diagnostics; }

  // Room for the loss's own figures of a block, one each.
  double* Figures(size_t block) { return figures_.data() + block * own_; }

  // Reads rows x columns predictions, their gradient (null: not computed), and
  // the rows' labels (null: none). Rows whose `active` is 0 do not count; null:
  // all do.
  template <class T, class Active>
  void Observe(size_t block, size_t rows, size_t columns, const T* predictions,
               const T* gradient, const int64_t* labels, const Active* active);

  // All figures by name; `counted` rows or, for element-wise losses, elements.
  std::vector<Diagnostic> Finish(double counted, int64_t clipped) const;

  // What looks wrong, for people.
  std::vector<std::string> Warnings(double counted) const;

 private:
  struct Block {
    double gradient_squares = 0;
    double gradient_max = 0;
    int64_t non_finite = 0;
    int64_t smallest_label = std::numeric_limits<int64_t>::max();
    // All of it could be probabilities.
    bool probable = true;
  };

  double Combined(size_t figure, double counted) const;

  const Problem& problem_;
  // Figures of the loss itself.
  const size_t own_;
  std::vector<Block> blocks_;
  std::vector<double> figures_;
};

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_DIAGNOSTICS_H_
