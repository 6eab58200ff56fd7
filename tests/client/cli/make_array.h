// Small arrays for tests.

#ifndef LOSSD_TESTS_CLIENT_CLI_MAKE_ARRAY_H_
#define LOSSD_TESTS_CLIENT_CLI_MAKE_ARRAY_H_

#include <cstdint>
#include <cstring>
#include <utility>
#include <vector>

#include "client/cli/array_data.h"

namespace lossd::cli {

template <typename T>
Array MakeArray(v1::Dtype dtype, std::vector<int64_t> shape,
                const std::vector<T>& values) {
  Array array{dtype, std::move(shape), {}};
  array.data.resize(values.size() * sizeof(T));
  // An empty vector may have no data, which memcpy does not take.
  if (!values.empty()) {
    std::memcpy(array.data.data(), values.data(), array.data.size());
  }
  return array;
}

inline Array Floats(std::vector<int64_t> shape,
                    const std::vector<double>& values) {
  return MakeArray(v1::DTYPE_FLOAT64, std::move(shape), values);
}

inline Array Integers(std::vector<int64_t> shape,
                      const std::vector<int64_t>& values) {
  return MakeArray(v1::DTYPE_INT64, std::move(shape), values);
}

}  // namespace lossd::cli

#endif  // LOSSD_TESTS_CLIENT_CLI_MAKE_ARRAY_H_
