#ifndef LOSSD_SERVER_NAMED_LOSS_H_
#define LOSSD_SERVER_NAMED_LOSS_H_

#include <google/protobuf/descriptor.h>

#include <string>

#include "absl/status/statusor.h"
#include "lossd/v1/losses.pb.h"

namespace lossd {

// The options of a loss, as people list them.
std::string KnownOptions(const google::protobuf::Descriptor& loss);

// The typed loss that a loss by name stands for. Letters of names, and of the
// values of enums, may have any case. INVALID_ARGUMENT naming loss.named.name
// or loss.named.options.OPTION: for unknown names it says which exist, for
// values of the wrong type what is wanted. Ranges are not checked.
absl::StatusOr<v1::Loss> ResolveNamedLoss(const v1::NamedLoss& named);

}  // namespace lossd

#endif  // LOSSD_SERVER_NAMED_LOSS_H_
