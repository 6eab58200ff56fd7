#ifndef LOSSD_SERVER_NO_THROW_H_
#define LOSSD_SERVER_NO_THROW_H_

#include <exception>
#include <new>

#include "absl/status/status.h"

namespace lossd {

// What `step` returns; RESOURCE_EXHAUSTED when memory runs out in it.
template <class Step>
absl::Status NoThrow(const Step& step) {
  try {
    return step();
  } catch (const std::bad_alloc&) {
    return absl::ResourceExhaustedError(
        "there is not enough memory for this request");
  } catch (const std::exception& error) {
    return absl::InternalError(error.what());
  }
}

}  // namespace lossd

#endif  // LOSSD_SERVER_NO_THROW_H_
