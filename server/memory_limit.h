#ifndef LOSSD_SERVER_MEMORY_LIMIT_H_
#define LOSSD_SERVER_MEMORY_LIMIT_H_

#include <cstdint>
#include <string>

namespace lossd {

// Bytes of memory this process may use: the smallest of the machine's and the
// limits of its cgroup (version 1 or 2) and all parents; the largest int64 if
// none can be read. `root` stands before /proc and /sys.
int64_t MemoryLimit(const std::string& root = "");

}  // namespace lossd

#endif  // LOSSD_SERVER_MEMORY_LIMIT_H_
