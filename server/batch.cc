#include "server/batch.h"

#include <limits>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "lib/compute.h"
#include "lib/core/numerics.h"
#include "lib/core/status_macros.h"
#include "server/item_codec.h"
#include "server/status_adapter.h"
#include "server/version.h"

namespace lossd {
namespace {

// What a result takes besides its tensors, generously.
constexpr int64_t kResultBytes = 1024;

// Computes and counts the items of one request.
class Batch {
 public:
  Batch(const BatchLimits& limits, Metrics& metrics)
      : limits_(limits), metrics_(metrics) {}

  void Add(const MergedItem& merged, v1::LossResult* result) {
    DecodedItem item;
    const absl::Status status = Compute(merged, &item, result);
    if (!status.ok()) {
      result->Clear();
      *result->mutable_status() = ToItemStatus(status);
      result->set_loss(std::numeric_limits<double>::quiet_NaN());
    }
    metrics_.CountItem(item.loss_name(), status.code(), item.elements());
    reply_bytes_ += static_cast<int64_t>(result->ByteSizeLong());
  }

 private:
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
    const int64_t left =
        limits_.max_message_bytes - reply_bytes_ - kResultBytes;
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
  int64_t reply_bytes_ = 0;
};

absl::Status CheckRequest(const v1::ComputeRequest& request,
                          const BatchLimits& limits) {
  const std::string numerics(NumericsVersion());
  if (!request.numerics_version().empty() &&
      request.numerics_version() != numerics) {
    return absl::FailedPreconditionError(absl::StrCat(
        "numerics_version: got ", CutText(request.numerics_version(), 100),
        ", lossd ", kVersion, " computes ", numerics));
  }
  if (request.items_size() > limits.max_items) {
    return absl::ResourceExhaustedError(
        absl::StrCat("items: got ", request.items_size(), ", allowed: at most ",
                     limits.max_items));
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ComputeBatch(const v1::ComputeRequest& request,
                          const BatchLimits& limits,
                          const std::function<absl::Status()>& interrupted,
                          Metrics& metrics, v1::ComputeResponse* response) {
  LOSSD_RETURN_IF_ERROR(CheckRequest(request, limits));
  response->set_numerics_version(std::string(NumericsVersion()));
  response->mutable_results()->Reserve(request.items_size());
  Batch batch(limits, metrics);
  for (const v1::LossItem& item : request.items()) {
    LOSSD_RETURN_IF_ERROR(interrupted());
    batch.Add(Merge(request.defaults(), item), response->add_results());
  }
  const size_t bytes = response->ByteSizeLong();
  if (bytes > static_cast<size_t>(limits.max_message_bytes)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the reply has ", bytes, " bytes, allowed: at most ",
                     limits.max_message_bytes));
  }
  return absl::OkStatus();
}

}  // namespace lossd
