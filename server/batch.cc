#include "server/batch.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/core/numerics.h"
#include "lib/core/status_macros.h"
#include "proto/wire/writer.h"
#include "server/batch_reply.h"
#include "server/error_details.h"
#include "server/no_throw.h"
#include "server/request_parser.h"

namespace lossd {
namespace {

// An item that takes more is run block by block.
constexpr size_t kSmallItemBytes = size_t{256} << 10;

// What a unit of small items, and what decoding is worth, in bytes that the
// kernels could have read meanwhile.
constexpr size_t kSmallUnitBytes = size_t{128} << 10;
constexpr size_t kItemBytes = size_t{8} << 10;
constexpr size_t kItemsAUnit = 16;

}  // namespace

struct Batch::Item {
  DecodedItem decoded;
  absl::Status status;
  Outputs outputs;
  v1::LossResult* result = nullptr;
};

Batch::Batch(const grpc::ByteBuffer& request, const BatchLimits& limits,
             Metrics& metrics, BufferPool& pool, ReserveReply reserve_reply,
             std::shared_ptr<const void> until_sent)
    : body_(request),
      limits_(limits),
      metrics_(metrics),
      reserve_reply_(std::move(reserve_reply)),
      request_(
          *google::protobuf::Arena::CreateMessage<v1::ComputeRequest>(&arena_)),
      response_(*google::protobuf::Arena::CreateMessage<v1::ComputeResponse>(
          &arena_)),
      tensors_(pool, std::move(until_sent)),
      step_{.units = 1,
            .unit_bytes = kItemBytes,
            .run = [this](size_t) { return Parse(); },
            .next = [this] { return BeginDecoding(); }} {}

Batch::~Batch() = default;

void Batch::Guard(const std::function<absl::Status()>& step) {
  absl::Status status = NoThrow(step);
  if (status.ok()) return;
  const std::lock_guard lock(mutex_);
  status_ = std::move(status);
}

void Batch::RunUnit(size_t unit) {
  Guard([&] { return step_.run(unit); });
}

bool Batch::NextStep() {
  if (status_.ok() && step_.next) {
    const auto next = std::exchange(step_, {}).next;
    Guard(next);
    if (status_.ok() && step_.next) return true;
  }
  step_ = {};
  return false;
}

absl::StatusOr<grpc::ByteBuffer> Batch::Reply() {
  absl::StatusOr<grpc::ByteBuffer> reply;
  Guard([&] {
    if (status_.ok()) reply = Write();
    return status_.ok() ? reply.status() : status_;
  });
  if (!status_.ok()) return status_;
  return reply;
}

absl::Status Batch::Parse() {
  LOSSD_RETURN_IF_ERROR(
      ParseRequest(body_, limits_.max_items, &request_, &payloads_));
  const std::string numerics(NumericsVersion());
  if (!request_.numerics_version().empty() &&
      request_.numerics_version() != numerics) {
    return NumericsVersionMismatch(request_.numerics_version(), numerics);
  }
  response_.set_numerics_version(numerics);
  return absl::OkStatus();
}

absl::Status Batch::BeginDecoding() {
  items_ = std::vector<Item>(static_cast<size_t>(request_.items_size()));
  response_.mutable_results()->Reserve(request_.items_size());
  for (Item& item : items_) item.result = response_.add_results();
  step_ = {.units = (items_.size() + kItemsAUnit - 1) / kItemsAUnit,
           .unit_bytes = kItemsAUnit * kItemBytes,
           .run = [this](size_t unit) { return Decode(unit); },
           .next = [this] { return BeginSmallItems(); }};
  return absl::OkStatus();
}

absl::Status Batch::Decode(size_t unit) {
  const size_t end = std::min((unit + 1) * kItemsAUnit, items_.size());
  for (size_t i = unit * kItemsAUnit; i < end; ++i) {
    items_[i].status = items_[i].decoded.Decode(
        Merge(request_.defaults(), request_.items(static_cast<int>(i))),
        payloads_);
  }
  return absl::OkStatus();
}

// Tensors beyond the limit of the reply are not computed: most could not be
// sent, and all would have to be held.
absl::Status Batch::AllocateOutputs() {
  int64_t left = limits_.max_message_bytes;
  for (Item& item : items_) {
    if (!item.status.ok()) continue;
    const size_t bytes = item.decoded.reply_bytes();
    if (bytes > static_cast<size_t>(left)) {
      item.status = NoRoomInReply(bytes, limits_.max_message_bytes, left);
    } else {
      left -= static_cast<int64_t>(bytes);
    }
  }
  LOSSD_RETURN_IF_ERROR(reserve_reply_(limits_.max_message_bytes - left));
  for (Item& item : items_) {
    if (!item.status.ok()) continue;
    item.outputs = item.decoded.AllocateOutputs(&tensors_, item.result);
  }
  return absl::OkStatus();
}

absl::Status Batch::BeginSmallItems() {
  LOSSD_RETURN_IF_ERROR(AllocateOutputs());
  size_t small_bytes = 0;
  size_t unit_bytes = kSmallUnitBytes;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (!items_[i].status.ok()) continue;
    const size_t bytes = items_[i].decoded.work_bytes();
    if (bytes > kSmallItemBytes) {
      large_.push_back(i);
      continue;
    }
    if (unit_bytes >= kSmallUnitBytes) {
      small_.emplace_back();
      unit_bytes = 0;
    }
    small_.back().push_back(i);
    unit_bytes += bytes + kItemBytes;
    small_bytes += bytes + kItemBytes;
  }
  step_ = {.units = small_.size(),
           .unit_bytes = small_bytes / std::max<size_t>(small_.size(), 1),
           .run = [this](size_t unit) { return ComputeSmallItems(unit); },
           .next = [this] { return BeginLargeItem(); }};
  return absl::OkStatus();
}

absl::Status Batch::ComputeSmallItems(size_t unit) {
  for (const size_t i : small_[unit]) {
    Item& item = items_[i];
    Encode(Compute(item.decoded.spec(), item.decoded.inputs(), item.outputs, 1),
           &item);
  }
  return absl::OkStatus();
}

absl::Status Batch::BeginLargeItem() {
  for (; next_large_ < large_.size(); ++next_large_) {
    Item& item = items_[large_[next_large_]];
    absl::StatusOr<Computation> planned = Computation::Plan(
        item.decoded.spec(), item.decoded.inputs(), item.outputs);
    if (!planned.ok()) {
      Encode(planned.status(), &item);
      continue;
    }
    computation_ = *std::move(planned);
    const size_t blocks = computation_->weigh_blocks();
    step_ = {.units = blocks,
             // It reads one number a row, mostly.
             .unit_bytes = kItemBytes,
             .run =
                 [this](size_t block) {
                   computation_->WeighBlock(block);
                   return absl::OkStatus();
                 },
             .next = [this] { return BeginBlocks(); }};
    return absl::OkStatus();
  }
  return absl::OkStatus();
}

absl::Status Batch::BeginBlocks() {
  Item& item = items_[large_[next_large_]];
  const absl::Status weighed = computation_->FinishWeighing();
  if (!weighed.ok()) {
    Encode(weighed, &item);
    ++next_large_;
    return BeginLargeItem();
  }
  const size_t blocks = computation_->blocks();
  step_ = {
      .units = blocks,
      .unit_bytes = item.decoded.work_bytes() / std::max<size_t>(blocks, 1),
      .run =
          [this](size_t block) {
            computation_->RunBlock(block);
            return absl::OkStatus();
          },
      .next = [this] { return FinishLargeItem(); }};
  return absl::OkStatus();
}

absl::Status Batch::FinishLargeItem() {
  Encode(computation_->Finish(), &items_[large_[next_large_++]]);
  computation_.reset();
  return BeginLargeItem();
}

void Batch::Encode(const absl::StatusOr<LossResult>& computed, Item* item) {
  if (computed.ok()) {
    item->decoded.Encode(*computed, item->result);
  } else {
    item->status = item->decoded.WithProtoPath(computed.status());
  }
}

absl::StatusOr<grpc::ByteBuffer> Batch::Write() {
  // Results are empty so far, or have all but their tensors' bytes.
  v1::ComputeResponse head;
  head.set_numerics_version(response_.numerics_version());
  ReplySize size(limits_.max_message_bytes, items_.size(), head.ByteSizeLong());
  for (Item& item : items_) {
    if (item.status.ok()) {
      item.status = size.CheckRoom(item.decoded.reply_bytes());
    }
    if (item.status.ok()) {
      size.Add(*item.result, item.decoded.payload_bytes());
    } else {
      size.AddRefusal(item.status, item.result);
    }
    metrics_.CountItem(item.decoded.loss_name(), item.status.code(),
                       item.status.ok() ? item.decoded.elements() : 0);
  }
  grpc::ByteBuffer reply = wire::WriteMessage(response_, tensors_.payloads());
  const size_t bytes = reply.Length();
  if (bytes <= static_cast<size_t>(limits_.max_message_bytes)) return reply;
  return LimitExceeded("message", absl::StrCat("the reply has ", bytes,
                                               " bytes, allowed: at most ",
                                               limits_.max_message_bytes));
}

}  // namespace lossd
