// libFuzzer's target for proto/wire; README.md says how to run it.

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/fuzz/mutate.h"
#include "tests/proto/wire/differential.h"

// Both are libFuzzer's names.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string difference = lossd::wire::DifferenceOfInput(
      {reinterpret_cast<const char*>(data), size});
  if (!difference.empty()) {
    std::fprintf(stderr, "%s\n", difference.c_str());
    std::abort();
  }
  return 0;
}

extern "C" size_t LLVMFuzzerCustomMutator(uint8_t* data, size_t size,
                                          size_t max_size, unsigned seed) {
  const std::string input = lossd::fuzz::MutateInput(
      std::string(reinterpret_cast<const char*>(data), size), max_size, seed);
  std::copy(input.begin(), input.end(), data);
  return input.size();
}
