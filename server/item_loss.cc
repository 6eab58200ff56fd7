#include "server/item_loss.h"

#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/loss_codec.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

absl::StatusOr<Semantics> DecodeSemantics(v1::Semantics semantics) {
  switch (semantics) {
    case v1::SEMANTICS_UNSPECIFIED:
    case v1::SEMANTICS_STRICT:
      return Semantics::kStrict;
    case v1::SEMANTICS_PYTORCH:
      return Semantics::kPytorch;
    case v1::SEMANTICS_KERAS:
      return Semantics::kKeras;
    case v1::Semantics_INT_MIN_SENTINEL_DO_NOT_USE_:
    case v1::Semantics_INT_MAX_SENTINEL_DO_NOT_USE_:
      break;
  }
  return NotServed({"semantics", std::nullopt,
                    absl::StrCat(static_cast<int>(semantics)),
                    "STRICT, PYTORCH, KERAS"});
}

ItemLoss DecodeItemLoss(const v1::Loss& wanted, v1::Semantics semantics) {
  ItemLoss decoded;
  decoded.name = LossName(wanted);
  absl::StatusOr<DecodedLoss> loss = DecodeLoss(wanted);
  if (!loss.ok()) {
    decoded.status = loss.status();
    return decoded;
  }
  decoded.params = loss->params;
  decoded.options_path = std::move(loss->options_path);
  const absl::StatusOr<Semantics> known = DecodeSemantics(semantics);
  if (!known.ok()) {
    decoded.status = known.status();
    return decoded;
  }
  decoded.semantics = *known;
  AllLosses::Resolve(decoded.semantics, &decoded.params);
  // The documented defaults are those of STRICT.
  decoded.in_force =
      EncodeLoss(decoded.params, decoded.semantics == Semantics::kStrict);
  return decoded;
}

}  // namespace

std::shared_ptr<const ItemLoss> ItemLosses::Decode(const v1::Loss& loss,
                                                   v1::Semantics semantics) {
  next_.clear();
  loss.AppendToString(&next_);
  if (last_ == nullptr || next_ != serialized_ || semantics != semantics_) {
    last_ = std::make_shared<const ItemLoss>(DecodeItemLoss(loss, semantics));
    serialized_.swap(next_);
    semantics_ = semantics;
  }
  return last_;
}

v1::Semantics EncodeSemantics(Semantics semantics) {
  switch (semantics) {
    case Semantics::kStrict:
      return v1::SEMANTICS_STRICT;
    case Semantics::kPytorch:
      return v1::SEMANTICS_PYTORCH;
    case Semantics::kKeras:
      return v1::SEMANTICS_KERAS;
  }
  return v1::SEMANTICS_UNSPECIFIED;
}

}  // namespace lossd
