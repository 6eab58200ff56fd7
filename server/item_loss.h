// The loss of an item, and the cache that keeps batches from decoding the same
// one again and again.

#ifndef LOSSD_SERVER_ITEM_LOSS_H_
#define LOSSD_SERVER_ITEM_LOSS_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "lib/core/spec.h"
#include "lib/losses/registry.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd {

// Which loss, as the library takes it and as the reply says it.
struct ItemLoss {
  // INVALID_ARGUMENT or UNIMPLEMENTED, with a violation whose field is a path
  // of the proto relative to the item.
  absl::Status status;
  // Whatever else is wrong; empty if that is not known. For metrics.
  std::string name;
  LossParams params;
  Semantics semantics = Semantics::kStrict;
  // Where the caller wrote the options: "loss.huber", "loss.named.options".
  std::string options_path;
  // With every option as it is in force.
  v1::Loss in_force;
};

// Decodes losses; the last one is remembered, since items of a batch are often
// the same but for their tensors. For one thread.
class ItemLosses {
 public:
  std::shared_ptr<const ItemLoss> Decode(const v1::Loss& loss,
                                         v1::Semantics semantics);

 private:
  // Of the last loss, to compare.
  std::string serialized_;
  v1::Semantics semantics_ = v1::SEMANTICS_UNSPECIFIED;
  std::shared_ptr<const ItemLoss> last_;
  std::string next_;
};

v1::Semantics EncodeSemantics(Semantics semantics);

}  // namespace lossd

#endif  // LOSSD_SERVER_ITEM_LOSS_H_
