// Messages that generated classes write.

#ifndef LOSSD_TESTS_FUZZ_RANDOM_MESSAGE_H_
#define LOSSD_TESTS_FUZZ_RANDOM_MESSAGE_H_

#include <string>

#include "tests/fuzz/random.h"

namespace lossd::fuzz {

// One of the messages that carry tensors, or one that is in them, serialised:
// every field may be set, to values at the edges of its type.
std::string RandomMessage(Random* random);

}  // namespace lossd::fuzz

#endif  // LOSSD_TESTS_FUZZ_RANDOM_MESSAGE_H_
