#ifndef LOSSD_LIB_CORE_PARALLEL_FOR_H_
#define LOSSD_LIB_CORE_PARALLEL_FOR_H_

#include <cstddef>
#include <functional>

namespace lossd {

// Calls body(i) for every i in [0, count), on up to `max_threads` threads (0:
// as many as OpenMP would use), and returns when all have returned. Runs inline
// when count or max_threads is at most 1. If calls throw (memory runs out), the
// others are still made, and one of the exceptions is thrown from here. `body`
// must not call ParallelFor. Every calling thread has a team of its own, which
// stays alive as long as that thread: call it from few threads, with a constant
// number.
void ParallelFor(size_t count, int max_threads,
                 const std::function<void(size_t)>& body);

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_PARALLEL_FOR_H_
