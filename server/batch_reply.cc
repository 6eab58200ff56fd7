#include "server/batch_reply.h"

#include <limits>

#include "absl/strings/str_cat.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

// What a result takes besides its tensors, generously.
constexpr int64_t kResultBytes = 1024;

// What the refusal of an item takes at least: a text of this length, its code
// and the loss.
constexpr size_t kShortText = 40;
constexpr int64_t kShortResultBytes = 64;

// Tag and length of a result in the reply.
constexpr int64_t kFrameBytes = 6;

int64_t BytesInReply(const v1::LossResult& result) {
  return static_cast<int64_t>(result.ByteSizeLong()) + kFrameBytes;
}

}  // namespace

absl::Status NoRoomInReply(size_t tensor_bytes, int64_t limit, int64_t left) {
  return absl::ResourceExhaustedError(absl::StrCat(
      "the tensors of this result take ", tensor_bytes, " bytes, but of the ",
      limit, " bytes a reply may have only ", left,
      " are left: send fewer items in a request"));
}

ReplySize::ReplySize(int64_t limit, size_t items, size_t bytes)
    : limit_(limit),
      items_left_(static_cast<int64_t>(items)),
      bytes_(static_cast<int64_t>(bytes)) {}

int64_t ReplySize::Room() const {
  return limit_ - bytes_ - (items_left_ - 1) * kShortResultBytes;
}

absl::Status ReplySize::CheckRoom(size_t tensor_bytes) const {
  const int64_t left = Room() - kResultBytes;
  if (left >= 0 && tensor_bytes <= static_cast<size_t>(left)) {
    return absl::OkStatus();
  }
  return NoRoomInReply(tensor_bytes, limit_, left > 0 ? left : 0);
}

void ReplySize::Add(const v1::LossResult& result, size_t payload_bytes) {
  --items_left_;
  bytes_ += BytesInReply(result) + static_cast<int64_t>(payload_bytes);
}

void ReplySize::AddRefusal(const absl::Status& status, v1::LossResult* result) {
  result->Clear();
  *result->mutable_status() = ToItemStatus(status);
  result->set_loss(std::numeric_limits<double>::quiet_NaN());
  if (BytesInReply(*result) > Room()) {
    result->mutable_status()->clear_violations();
    result->mutable_status()->set_message(
        CutText(result->status().message(), kShortText));
  }
  Add(*result, 0);
}

}  // namespace lossd
