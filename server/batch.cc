#include "server/batch.h"

#include <limits>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/compute.h"
#include "lib/core/numerics.h"
#include "lib/core/status_macros.h"
#include "server/error_details.h"
#include "server/item_codec.h"
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

// Computes and counts the items of one request.
class Batch {
 public:
  // A batch of `items`, for a reply that has `reply_bytes` without them.
  Batch(const BatchLimits& limits, Metrics& metrics, int items,
        size_t reply_bytes)
      : limits_(limits),
        metrics_(metrics),
        items_left_(items),
        reply_bytes_(static_cast<int64_t>(reply_bytes)) {}

  void Add(const MergedItem& merged, v1::LossResult* result) {
    --items_left_;
    DecodedItem item;
    const absl::Status status = Compute(merged, &item, result);
    if (!status.ok()) Refuse(status, result);
    metrics_.CountItem(item.loss_name(), status.code(), item.elements());
    reply_bytes_ += BytesInReply(*result);
  }

 private:
  // Bytes that an item may take and still leave those after it room to be
  // refused, or the whole reply, with good results in it, would be too large.
  int64_t Room() const {
    return limits_.max_message_bytes - reply_bytes_ -
           items_left_ * kShortResultBytes;
  }

  void Refuse(const absl::Status& status, v1::LossResult* result) const {
    result->Clear();
    *result->mutable_status() = ToItemStatus(status);
    result->set_loss(std::numeric_limits<double>::quiet_NaN());
    if (BytesInReply(*result) <= Room()) return;
    result->mutable_status()->clear_violations();
    result->mutable_status()->set_message(
        CutText(result->status().message(), kShortText));
  }

  absl::Status Compute(const MergedItem& merged, DecodedItem* item,
                       v1::LossResult* result) {
    LOSSD_RETURN_IF_ERROR(item->Decode(merged));
    LOSSD_RETURN_IF_ERROR(CheckRoom(*item));
    const Outputs outputs = item->AllocateOutputs(result);
    absl::StatusOr<Computation> computation =
        Computation::Plan(item->spec(), item->inputs(), outputs);
    if (!computation.ok()) return item->WithProtoPath(computation.status());
    const absl::StatusOr<LossResult> computed =
        computation->Run(limits_.threads);
    if (!computed.ok()) return item->WithProtoPath(computed.status());
    item->Encode(*computed, result);
    return absl::OkStatus();
  }

  absl::Status CheckRoom(const DecodedItem& item) const {
    const int64_t left = Room() - kResultBytes;
    const auto needed = item.reply_bytes();
    if (left >= 0 && needed <= static_cast<size_t>(left)) {
      return absl::OkStatus();
    }
    return absl::ResourceExhaustedError(absl::StrCat(
        "the tensors of this result take ", needed, " bytes, but of the ",
        limits_.max_message_bytes, " bytes a reply may have only ",
        left > 0 ? left : 0, " are left: send fewer items in a request"));
  }

  const BatchLimits& limits_;
  Metrics& metrics_;
  int64_t items_left_;
  int64_t reply_bytes_;
};

}  // namespace

absl::Status ComputeBatch(const v1::ComputeRequest& request,
                          const BatchLimits& limits,
                          const std::function<absl::Status()>& interrupted,
                          Metrics& metrics, v1::ComputeResponse* response) {
  const std::string numerics(NumericsVersion());
  if (!request.numerics_version().empty() &&
      request.numerics_version() != numerics) {
    return NumericsVersionMismatch(request.numerics_version(), numerics);
  }
  response->set_numerics_version(numerics);
  response->mutable_results()->Reserve(request.items_size());
  Batch batch(limits, metrics, request.items_size(), response->ByteSizeLong());
  for (const v1::LossItem& item : request.items()) {
    LOSSD_RETURN_IF_ERROR(interrupted());
    batch.Add(Merge(request.defaults(), item), response->add_results());
  }
  const size_t bytes = response->ByteSizeLong();
  if (bytes > static_cast<size_t>(limits.max_message_bytes)) {
    return LimitExceeded("message", absl::StrCat("the reply has ", bytes,
                                                 " bytes, allowed: at most ",
                                                 limits.max_message_bytes));
  }
  return absl::OkStatus();
}

}  // namespace lossd
