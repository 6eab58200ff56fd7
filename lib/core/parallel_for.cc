#include "lib/core/parallel_for.h"

#include <omp.h>

#include <exception>
#include <mutex>

namespace lossd {

void ParallelFor(size_t count, int max_threads,
                 const std::function<void(size_t)>& body) {
  const int limit = max_threads > 0 ? max_threads : omp_get_max_threads();
  if (limit <= 1 || count <= 1) {
    for (size_t i = 0; i < count; ++i) body(i);
    return;
  }
  // An exception that left the region would end the program.
  std::exception_ptr thrown;
  std::mutex mutex;
  // Every thread takes one contiguous run of blocks: neighbouring blocks share
  // pages, and there is nothing to fetch from a shared counter.
#pragma omp parallel for schedule(static) num_threads(limit) default(none) \
    shared(count, body, thrown, mutex)
  for (size_t i = 0; i < count; ++i) {
    try {
      body(i);
    } catch (...) {
      const std::lock_guard lock(mutex);
      thrown = std::current_exception();
    }
  }
  if (thrown) std::rethrow_exception(thrown);
}

}  // namespace lossd
