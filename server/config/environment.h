#ifndef LOSSD_SERVER_CONFIG_ENVIRONMENT_H_
#define LOSSD_SERVER_CONFIG_ENVIRONMENT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"

namespace lossd {

// INVALID_ARGUMENT, one line, if the environment has a variable LOSSD_… that is
// none of `known`, lossctl's own, nor one that Kubernetes sets for a service
// with such a name (LOSSD_SERVICE_HOST, LOSSD_PORT_50051_TCP).
absl::Status CheckEnvironment(const std::vector<std::string>& known);

}  // namespace lossd

#endif  // LOSSD_SERVER_CONFIG_ENVIRONMENT_H_
