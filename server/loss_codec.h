// lossd.v1.Loss to and from the library's parameters, which list their options
// by the names of the proto.

#ifndef LOSSD_SERVER_LOSS_CODEC_H_
#define LOSSD_SERVER_LOSS_CODEC_H_

#include <string>

#include "absl/status/statusor.h"
#include "lib/losses/registry.h"
#include "lossd/v1/losses.pb.h"

namespace lossd {

struct DecodedLoss {
  LossParams params;
  // Where the caller wrote the options: "loss.huber", "loss.named.options".
  std::string options_path;
};

// Name of a loss, whether or not its options are fine; empty if there is none
// or this server does not know it.
std::string LossName(const v1::Loss& loss);

// Options that are unset keep the library's defaults. INVALID_ARGUMENT for no
// loss, an unknown name, option or enum value; UNIMPLEMENTED for a member of
// the oneof, or an option, that only a newer server knows. Ranges are the
// library's business.
absl::StatusOr<DecodedLoss> DecodeLoss(const v1::Loss& loss);

// The typed message with every option that has a value, and `with_defaults`
// with those that have none but a documented default.
v1::Loss EncodeLoss(const LossParams& params, bool with_defaults);

}  // namespace lossd

#endif  // LOSSD_SERVER_LOSS_CODEC_H_
