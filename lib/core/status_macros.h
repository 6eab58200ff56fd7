#ifndef LOSSD_LIB_CORE_STATUS_MACROS_H_
#define LOSSD_LIB_CORE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

// Returns from the calling function if `expression` is not OK.
#define LOSSD_RETURN_IF_ERROR(expression)        \
  do {                                           \
    absl::Status lossd_status = (expression);    \
    if (!lossd_status.ok()) return lossd_status; \
  } while (false)

#endif  // LOSSD_LIB_CORE_STATUS_MACROS_H_
