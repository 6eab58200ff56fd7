#include "lib/core/parallel_for.h"

#include <omp.h>

namespace lossd {

int DefaultThreads() { return omp_get_max_threads(); }

void ParallelFor(size_t count, int max_threads,
                 const std::function<void(size_t)>& body) {
  const int limit = max_threads > 0 ? max_threads : DefaultThreads();
  if (limit <= 1 || count <= 1) {
    for (size_t i = 0; i < count; ++i) body(i);
    return;
  }
  // Every thread takes one contiguous run of blocks: neighbouring blocks share
  // pages, and there is nothing to fetch from a shared counter.
#pragma omp parallel for schedule(static) num_threads(limit) default(none) \
    shared(count, body)
  for (size_t i = 0; i < count; ++i) body(i);
}

}  // namespace lossd
