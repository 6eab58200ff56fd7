// Mutations that know the wire format but no message, so that what is deep in a
// message changes too and lengths stay right around it.

#ifndef LOSSD_TESTS_FUZZ_MUTATE_H_
#define LOSSD_TESTS_FUZZ_MUTATE_H_

#include <cstddef>
#include <cstdint>
#include <string>

namespace lossd::fuzz {

// Of an input as DifferenceOfInput() takes it; at most `max_size` bytes.
std::string MutateInput(const std::string& input, size_t max_size,
                        uint32_t seed);

}  // namespace lossd::fuzz

#endif  // LOSSD_TESTS_FUZZ_MUTATE_H_
