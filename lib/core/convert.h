// Tensors of any dtype and alignment, read and written as float or double.

#ifndef LOSSD_LIB_CORE_CONVERT_H_
#define LOSSD_LIB_CORE_CONVERT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>

#include "lib/core/tensor_view.h"

namespace lossd {

// Elements [begin, begin + count) as T (float, double or int64_t): where they
// lie if they are aligned and of that type, else converted into `scratch`,
// which has room for `count`. What T cannot hold exactly becomes NaN: large
// integers, a bool that is neither 0 nor 1. int64_t takes kInt32 and kInt64
// only, and is always a copy of shared memory: integers become indices.
template <class T>
const T* ReadElements(const TensorView& tensor, size_t begin, size_t count,
                      T* scratch);

// One element as a number.
double ReadElement(const TensorView& tensor, size_t index);

// One element as people write it, integers and bool bytes exactly.
std::string ElementText(const TensorView& tensor, size_t index);

// What is allowed for an element that is NaN after ReadElements, or infinite,
// given its dtype and its value as ReadElement gives it; nothing if it was
// finite.
std::optional<std::string> ExplainRead(Dtype dtype, double number,
                                       bool as_double);

// Where to compute elements that belong at `destination` in the given dtype:
// there, if they are aligned and of type T, else `scratch`, which
// WriteElements then has to store.
template <class T>
T* OutputElements(std::span<std::byte> destination, Dtype dtype, size_t begin,
                  T* scratch);

// Stores `count` numbers that OutputElements put aside; nothing if they are in
// place. Rounds to nearest even. With `finite_only`, returns the first that is
// too large for the dtype, and then stores nothing; else `count`.
template <class T>
size_t WriteElements(std::span<std::byte> destination, Dtype dtype,
                     size_t begin, const T* elements, size_t count,
                     bool finite_only = true);

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_CONVERT_H_
