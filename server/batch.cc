#include "server/batch.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/core/numerics.h"
#include "lib/core/status_macros.h"
#include "proto/wire/writer.h"
#include "server/error_details.h"
#include "server/no_throw.h"
#include "server/request_parser.h"

namespace lossd {
namespace {

// An item that takes more is run block by block.
constexpr size_t kSmallItemBytes = size_t{256} << 10;

// What a unit of small items, what decoding one, and what one number of a list
// is worth, in bytes that the kernels could have read meanwhile.
constexpr size_t kSmallUnitBytes = size_t{128} << 10;
constexpr size_t kItemBytes = size_t{4} << 10;
constexpr size_t kNumberBytes = 64;

// Items that are decoded at a time: enough to occupy a team, and few enough for
// the cache.
constexpr int kWaveItems = 1024;

// Messages that take so little memory need not be counted: those of a few
// items.
constexpr int64_t kUncountedBytes = 64 << 10;

// What decoding an item is worth. Most have no lists.
size_t DecodeBytes(const v1::LossItem& item) {
  size_t bytes = kItemBytes;
  // Such items are refused.
  if (item.extra_inputs_size() > kMaxExtraInputs) return bytes;
  VisitTensors(item, [&bytes](const char* /*field*/, const std::string* /*key*/,
                              const v1::Tensor& tensor) {
    const int numbers =
        tensor.values().values_size() + tensor.int_values().values_size();
    bytes += kNumberBytes * static_cast<size_t>(numbers);
  });
  return bytes;
}

}  // namespace

struct Batch::Item {
  DecodedItem decoded;
  absl::Status status;
  Outputs outputs;
  // Of what was computed.
  bool finite = true;
  v1::LossResult* result = nullptr;
};

Batch::Batch(const grpc::ByteBuffer& request, const BatchLimits& limits,
             Metrics& metrics, BufferPool& pool, const ArenaRegistry* arenas,
             BatchMemory memory, std::shared_ptr<const void> until_sent)
    : body_(request),
      limits_(limits),
      metrics_(metrics),
      stages_(metrics.stages()),
      arenas_(arenas),
      memory_(std::move(memory)),
      request_(
          *google::protobuf::Arena::CreateMessage<v1::ComputeRequest>(&arena_)),
      response_(*google::protobuf::Arena::CreateMessage<v1::ComputeResponse>(
          &arena_)),
      tensors_(pool, std::move(until_sent)),
      step_{.units = 1,
            .unit_bytes = kItemBytes,
            .run = [this](size_t) { return Parse(); },
            .next = [this] { return BeginItems(); }} {}

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
    if (status_.ok()) {
      stages_.Enter(Stage::kEncode);
      reply = Write();
    }
    return status_.ok() ? reply.status() : status_;
  });
  stages_.Finish();
  if (!status_.ok()) return status_;
  return reply;
}

absl::Status Batch::Parse() {
  LOSSD_RETURN_IF_ERROR(ParseRequest(
      body_, limits_.max_items,
      [this](int64_t bytes) {
        return bytes <= kUncountedBytes ? absl::OkStatus()
                                        : memory_.for_messages(bytes);
      },
      &request_, &payloads_));
  const std::string numerics(NumericsVersion());
  if (!request_.numerics_version().empty() &&
      request_.numerics_version() != numerics) {
    return NumericsVersionMismatch(request_.numerics_version(), numerics);
  }
  response_.set_numerics_version(numerics);
  overlaps_ = ArenaOverlaps(
      request_.defaults(),
      {request_.items().data(), static_cast<size_t>(request_.items_size())});
  return absl::OkStatus();
}

absl::Status Batch::BeginItems() {
  LOSSD_RETURN_IF_ERROR(CheckExtraInputs(
      "defaults.extra_inputs",
      static_cast<size_t>(request_.defaults().extra_inputs_size())));
  const int items = request_.items_size();
  // The response has no results yet.
  size_.emplace(limits_.max_message_bytes, items, response_.ByteSizeLong());
  response_.mutable_results()->Reserve(items);
  shared_.Collect(request_.defaults());
  if (shared_.size() == 0) return BeginWave();
  step_ = {.units = shared_.size(),
           .unit_bytes = DecodeBytes(request_.defaults()) / shared_.size(),
           .run =
               [this](size_t unit) {
                 shared_.Decode(unit, {payloads_, arenas_});
                 return absl::OkStatus();
               },
           .next = [this] { return BeginWave(); }};
  return absl::OkStatus();
}

absl::Status Batch::BeginWave() {
  const int items = std::min(kWaveItems, request_.items_size() - first_);
  items_ = std::vector<Item>(static_cast<size_t>(items));
  if (items_.empty()) return absl::OkStatus();
  for (Item& item : items_) item.result = response_.add_results();
  return BeginDecoding();
}

absl::Status Batch::BeginDecoding() {
  stages_.Enter(Stage::kDecode);
  units_ = BatchUnits(kSmallUnitBytes / 2);
  for (size_t i = 0; i < items_.size(); ++i) {
    units_.Add(i, DecodeBytes(request_.items(first_ + static_cast<int>(i))));
  }
  step_ = {.units = units_.size(),
           .unit_bytes = units_.mean_bytes(),
           .run = [this](size_t unit) { return Decode(unit); },
           .next = [this] { return BeginSmallItems(); }};
  return absl::OkStatus();
}

absl::Status Batch::Decode(size_t unit) {
  ItemLosses losses;
  const ItemContext context{{payloads_, arenas_}, shared_, losses};
  for (const size_t i : units_[unit]) {
    const int place = first_ + static_cast<int>(i);
    absl::Status& status = items_[i].status;
    status = items_[i].decoded.Decode(
        Merge(request_.defaults(), request_.items(place)), context);
    if (status.ok()) status = overlaps_.StatusOf(place);
  }
  return absl::OkStatus();
}

// Tensors beyond the limit of the reply are not computed: most could not be
// sent, and all would have to be held.
absl::Status Batch::AllocateOutputs() {
  for (Item& item : items_) {
    if (!item.status.ok()) continue;
    const size_t bytes = item.decoded.outputs().reply_bytes();
    const int64_t left = limits_.max_message_bytes - reply_bytes_;
    if (bytes > static_cast<size_t>(left)) {
      item.status = NoRoomInReply(bytes, limits_.max_message_bytes, left);
    } else {
      reply_bytes_ += static_cast<int64_t>(bytes);
    }
  }
  LOSSD_RETURN_IF_ERROR(memory_.for_reply(reply_bytes_));
  for (Item& item : items_) {
    if (!item.status.ok()) continue;
    item.outputs = item.decoded.outputs().Allocate(&tensors_, item.result);
  }
  return absl::OkStatus();
}

absl::Status Batch::BeginSmallItems() {
  LOSSD_RETURN_IF_ERROR(AllocateOutputs());
  stages_.Enter(Stage::kCompute);
  units_ = BatchUnits(kSmallUnitBytes);
  large_.clear();
  next_large_ = 0;
  for (size_t i = 0; i < items_.size(); ++i) {
    if (!items_[i].status.ok()) continue;
    const size_t bytes = items_[i].decoded.work_bytes();
    if (bytes > kSmallItemBytes) {
      large_.push_back(i);
    } else {
      units_.Add(i, bytes + kItemBytes);
    }
  }
  step_ = {.units = units_.size(),
           .unit_bytes = units_.mean_bytes(),
           .run = [this](size_t unit) { return ComputeSmallItems(unit); },
           .next = [this] { return BeginLargeItem(); }};
  return absl::OkStatus();
}

absl::Status Batch::ComputeSmallItems(size_t unit) {
  for (const size_t i : units_[unit]) {
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
  return FinishWave();
}

absl::Status Batch::BeginBlocks() {
  Item& item = items_[large_[next_large_]];
  const absl::Status weighed = computation_->FinishWeighing();
  if (!weighed.ok()) {
    Encode(weighed, &item);
    computation_.reset();
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
    item->finite = IsFinite(*computed);
    item->decoded.Encode(*computed, item->result);
  } else {
    item->status = item->decoded.WithProtoPath(computed.status());
  }
}

absl::Status Batch::FinishWave() {
  stages_.Enter(Stage::kEncode);
  // Results are empty so far, or have all but their tensors' bytes.
  for (Item& item : items_) {
    if (item.status.ok()) {
      item.status = size_->CheckRoom(item.decoded.outputs().reply_bytes());
    }
    if (item.status.ok()) {
      size_->Add(*item.result, item.decoded.outputs().payload_bytes());
    } else {
      size_->AddRefusal(item.status, item.result);
    }
    Count(item);
  }
  first_ += static_cast<int>(items_.size());
  return BeginWave();
}

void Batch::Count(const Item& item) {
  const std::string& loss = item.decoded.loss_name();
  auto same = std::ranges::find_if(ended_, [&](const EndedItems& each) {
    return each.code == item.status.code() && each.loss == loss;
  });
  if (same == ended_.end()) {
    same = ended_.insert(ended_.end(), {loss, item.status.code()});
  }
  ++same->items;
  if (!item.status.ok()) return;
  same->elements += item.decoded.elements();
  if (!item.finite) ++same->nonfinite;
}

absl::StatusOr<grpc::ByteBuffer> Batch::Write() {
  for (const EndedItems& each : ended_) metrics_.losses().Count(each);
  grpc::ByteBuffer reply = wire::WriteMessage(response_, tensors_.payloads());
  const size_t bytes = reply.Length();
  if (bytes <= static_cast<size_t>(limits_.max_message_bytes)) return reply;
  return LimitExceeded("message", absl::StrCat("the reply has ", bytes,
                                               " bytes, allowed: at most ",
                                               limits_.max_message_bytes));
}

}  // namespace lossd
