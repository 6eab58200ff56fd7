#include "server/stream.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "lib/core/numerics.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"
#include "proto/wire/stream_limits.h"
#include "proto/wire/writer.h"
#include "server/arena/arena_overlaps.h"
#include "server/error_details.h"
#include "server/merged_item.h"
#include "server/no_throw.h"
#include "server/reply_tensors.h"
#include "server/request_parser.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

// Blocks of a step without outputs, which has no other bound.
constexpr size_t kStepBlocks = 256;

// What a chunk's message may have beside its data.
constexpr size_t kChunkHeadBytes = 4096;

// Weighing reads one number a row, mostly.
constexpr size_t kWeighBytes = size_t{8} << 10;

// What chunks call a tensor of the item.
std::string NameInChunks(const std::string& path) {
  return std::string(absl::StripPrefix(path, "extra_inputs."));
}

}  // namespace

absl::Status Stream::Read(const grpc::ByteBuffer& body,
                          StreamMessage* message) {
  if (header_ != nullptr &&
      body.Length() > wire::kMaxChunkBytes + kChunkHeadBytes) {
    return LimitExceeded(
        "chunk",
        absl::StrCat("chunk: got a message of ", body.Length(),
                     " bytes, allowed: at most ", wire::kMaxChunkBytes,
                     " of data and ", kChunkHeadBytes, " beside them"));
  }
  message->bytes = body.Length();
  return ParseMessage(
      body,
      [&](size_t bytes) {
        if (header_ != nullptr) return absl::OkStatus();
        return for_header_(static_cast<int64_t>(body.Length()) +
                           MemoryOfMessage(bytes, 1));
      },
      &message->request, &message->payloads);
}

absl::Status Stream::Accept(const grpc::ByteBuffer& body) {
  return NoThrow([&]() -> absl::Status {
    auto message = std::make_unique<StreamMessage>();
    LOSSD_RETURN_IF_ERROR(Read(body, message.get()));
    const auto refuse = [](std::string got, std::string allowed) {
      return InvalidField(
          {"part", std::nullopt, std::move(got), std::move(allowed)});
    };
    switch (message->request.part_case()) {
      case v1::ComputeStreamRequest::kHeader:
        if (header_ != nullptr) return refuse("a second header", "chunks");
        return AcceptHeader(std::move(message));
      case v1::ComputeStreamRequest::kChunk:
        if (header_ == nullptr) return refuse("a chunk", "a header first");
        return AcceptChunk(std::move(message));
      case v1::ComputeStreamRequest::PART_NOT_SET:
        break;
    }
    return refuse("nothing", "a header, then chunks");
  });
}

absl::Status Stream::AcceptHeader(std::unique_ptr<StreamMessage> message) {
  header_ = std::move(message);
  const v1::StreamHeader& header = header_->request.header();
  const std::string numerics(NumericsVersion());
  if (!header.numerics_version().empty() &&
      header.numerics_version() != numerics) {
    return NumericsVersionMismatch(header.numerics_version(), numerics);
  }
  const v1::LossItem& defaults = v1::LossItem::default_instance();
  const v1::LossItem* const item = &header.item();
  LOSSD_RETURN_IF_ERROR(item_.DecodeStreamed(Merge(defaults, *item),
                                             {header_->payloads, arenas_}));
  LOSSD_RETURN_IF_ERROR(ArenaOverlaps(defaults, {&item, 1}).StatusOf(0));
  absl::StatusOr<StreamComputation> planned = StreamComputation::Plan(
      item_.spec(), item_.inputs(), item_.outputs().stream_outputs());
  if (!planned.ok()) return item_.WithProtoPath(planned.status());
  computation_ = *std::move(planned);
  return AddInputs();
}

absl::Status Stream::AddInputs() {
  const size_t rows = computation_->rows();
  const size_t block_rows = std::max<size_t>(
      computation_->block_elements() / computation_->columns(), 1);
  for (DecodedTensor& tensor : item_.own_tensors()) {
    if (tensor.window() == nullptr) continue;
    const TensorView& view = tensor.view();
    const std::string name = NameInChunks(tensor.path());
    const size_t size = SizeOf(view.dtype);
    const size_t elements = view.data.size() / size;
    const size_t per_row = rows == 0 ? 0 : elements / rows;
    inputs_.push_back(
        {StreamTensor(name, view.dtype, elements, tensor.window(), pool_),
         per_row, computation_->Weighs(name)});
    block_bytes_ += size * (per_row == computation_->columns()
                                ? computation_->block_elements()
                                : block_rows * per_row);
  }
  const size_t handled = block_bytes_ + OutputBytes();
  if (handled <= kMaxBlockBytes || rows == 0) return absl::OkStatus();
  return InvalidField(
      {"predictions.shape", std::nullopt,
       absl::StrCat("rows whose computation takes ", handled,
                    " bytes of chunks and outputs at once"),
       absl::StrCat("at most ", kMaxBlockBytes, " bytes in a stream")});
}

size_t Stream::OutputBytes() const {
  const StreamOutputs wanted = item_.outputs().stream_outputs();
  const size_t elements = computation_->ElementsAfter(1);
  const size_t gradients =
      wanted.gradient ? 1 + computation_->differentiable().size() : 0;
  const size_t rows = wanted.row_losses ? computation_->RowsAfter(1) : 0;
  return gradients * elements * SizeOf(computation_->gradient_dtype()) +
         rows * sizeof(double);
}

absl::Status Stream::UnknownTensor(const std::string& name) {
  const std::string got = CutText(name, 50);
  for (DecodedTensor& tensor : item_.own_tensors()) {
    if (NameInChunks(tensor.path()) != name) continue;
    return InvalidField({"chunk.tensor", std::nullopt, got,
                         "nothing more of a tensor that the header has whole"});
  }
  const auto join_name = [](std::string* out, const Input& input) {
    out->append(input.tensor.name());
  };
  return InvalidField(
      {"chunk.tensor", std::nullopt, got.empty() ? "no name" : got,
       absl::StrCat("the tensors without storage in the header: ",
                    inputs_.empty()
                        ? "there are none"
                        : absl::StrJoin(inputs_, ", ", join_name))});
}

absl::Status Stream::AcceptChunk(std::unique_ptr<StreamMessage> message) {
  const v1::StreamChunk& chunk = message->request.chunk();
  const auto input = std::ranges::find_if(inputs_, [&](const Input& each) {
    return each.tensor.name() == chunk.tensor();
  });
  if (input == inputs_.end()) return UnknownTensor(chunk.tensor());
  const size_t bytes = message->payloads.Of(chunk.data()).size();
  if (bytes > wire::kMaxChunkBytes) {
    return LimitExceeded(
        "chunk",
        absl::StrCat("chunk.data: got ", bytes, " bytes of ", chunk.tensor(),
                     ", allowed: at most ", wire::kMaxChunkBytes));
  }
  LOSSD_RETURN_IF_ERROR(input->tensor.Append(std::move(message)));
  return CheckLead();
}

absl::Status Stream::CheckLead() const {
  size_t held = 0;
  for (const Input& input : inputs_) held += input.tensor.held_bytes();
  if (held <= kMaxLeadBytes + block_bytes_ || HasWork()) {
    return absl::OkStatus();
  }
  const auto behind = std::ranges::find_if(inputs_, [&](const Input& each) {
    return BlocksReceived(each) <= computation_->ran();
  });
  return LimitExceeded(
      "stream",
      absl::StrCat("chunk.data: ", held, " bytes wait for more of ",
                   behind->tensor.name(), ", of which ",
                   behind->tensor.received(), " elements came; allowed: ",
                   kMaxLeadBytes + block_bytes_, " bytes ahead of a tensor"));
}

size_t Stream::BlocksReceived(const Input& input) const {
  if (input.tensor.complete()) return computation_->blocks();
  const size_t columns = computation_->columns();
  const size_t received = input.tensor.received();
  const size_t elements =
      input.per_row == columns ? received : received / input.per_row * columns;
  return elements / computation_->block_elements();
}

size_t Stream::BlocksReceived() const {
  size_t blocks = computation_->blocks();
  for (const Input& input : inputs_) {
    blocks = std::min(blocks, BlocksReceived(input));
  }
  return blocks;
}

size_t Stream::WeighBlocksReceived() const {
  size_t blocks = computation_->weigh_blocks();
  for (const Input& input : inputs_) {
    if (!input.weighed || input.tensor.complete()) continue;
    blocks = std::min(blocks, input.tensor.received() / input.per_row /
                                  computation_->weigh_rows());
  }
  return blocks;
}

bool Stream::WeighsFirst() const {
  return computation_->ran() == 0 && computation_->weighed() == 0 &&
         computation_->weigh_blocks() > 0 &&
         WeighBlocksReceived() == computation_->weigh_blocks();
}

bool Stream::HasWork() const {
  return computation_ &&
         (WeighsFirst() || BlocksReceived() > computation_->ran());
}

size_t Stream::StepEnd() const {
  const StreamOutputs wanted = item_.outputs().stream_outputs();
  size_t blocks = kStepBlocks;
  const auto bound = [&blocks, this](size_t bytes, size_t elements) {
    const size_t each = computation_->block_elements() / elements * bytes;
    blocks = std::min(blocks, kSentChunkBytes / std::max<size_t>(each, 1));
  };
  if (wanted.gradient) bound(SizeOf(computation_->gradient_dtype()), 1);
  if (wanted.row_losses) bound(sizeof(double), computation_->columns());
  return std::min(BlocksReceived(),
                  computation_->ran() + std::max<size_t>(blocks, 1));
}

std::span<std::byte> Stream::Allocate(std::string name, size_t first,
                                      size_t end, size_t element_bytes) {
  Buffer buffer = pool_.Get((end - first) * element_bytes);
  const std::span<std::byte> memory(buffer.data(), buffer.size());
  outputs_.push_back(
      {std::move(name), std::move(buffer), first, element_bytes});
  return memory;
}

absl::Status Stream::BeginStep() {
  return NoThrow([&] {
    unit_bytes_ = kWeighBytes;
    if (WeighsFirst()) {
      computation_->BeginStep(computation_->weigh_blocks(), 0, {});
      return absl::OkStatus();
    }
    const StreamOutputs wanted = item_.outputs().stream_outputs();
    const size_t ran = computation_->ran();
    const size_t end = StepEnd();
    StepOutputs outputs;
    if (wanted.gradient) {
      const size_t first = computation_->ElementsAfter(ran);
      const size_t last = computation_->ElementsAfter(end);
      const size_t size = SizeOf(computation_->gradient_dtype());
      outputs.gradient = Allocate("gradient", first, last, size);
      const auto& names = computation_->differentiable();
      for (size_t i = 0; i < names.size(); ++i) {
        outputs.extra_gradients[i] =
            Allocate(std::string(names[i]), first, last, size);
      }
    }
    if (wanted.row_losses) {
      outputs.row_losses =
          Allocate("row_losses", computation_->RowsAfter(ran),
                   computation_->RowsAfter(end), sizeof(double));
    }
    unit_bytes_ =
        item_.work_bytes() / std::max<size_t>(computation_->blocks(), 1);
    computation_->BeginStep(
        std::max(WeighBlocksReceived(), computation_->weighed()), end, outputs);
    return absl::OkStatus();
  });
}

void Stream::RunUnit(size_t unit) {
  absl::Status status = NoThrow([&] {
    computation_->RunUnit(unit);
    return absl::OkStatus();
  });
  if (status.ok()) return;
  const std::lock_guard lock(mutex_);
  unit_status_ = std::move(status);
}

absl::Status Stream::FinishStep() {
  return NoThrow([&]() -> absl::Status {
    LOSSD_RETURN_IF_ERROR(unit_status_);
    const absl::Status status = computation_->FinishStep();
    if (!status.ok()) return item_.WithProtoPath(status);
    for (Output& output : outputs_) Send(std::move(output));
    outputs_.clear();
    ReleaseInputs();
    return absl::OkStatus();
  });
}

void Stream::Send(Output output) {
  const size_t bytes = output.buffer.size();
  if (bytes == 0) return;
  if (std::byte* to = item_.outputs().Destination(output.name)) {
    std::copy_n(output.buffer.data(), bytes,
                to + output.first * output.element_bytes);
    return;
  }
  const grpc::Slice whole = SliceOf(std::move(output.buffer), nullptr);
  for (size_t begin = 0; begin < bytes; begin += kSentChunkBytes) {
    v1::ComputeStreamResponse response;
    v1::StreamChunk& chunk = *response.mutable_chunk();
    chunk.set_tensor(output.name);
    chunk.set_first_element(
        static_cast<int64_t>(output.first + begin / output.element_bytes));
    wire::SentPayloads payloads;
    chunk.set_data(payloads.Add(
        whole.sub(begin, std::min(begin + kSentChunkBytes, bytes))));
    output_.push_back(wire::WriteMessage(response, payloads));
  }
}

void Stream::ReleaseInputs() {
  const size_t columns = computation_->columns();
  const size_t elements = computation_->ElementsAfter(computation_->ran());
  const size_t rows = computation_->RowsAfter(computation_->ran());
  const size_t weighed =
      computation_->weighed() == computation_->weigh_blocks()
          ? computation_->rows()
          : computation_->weighed() * computation_->weigh_rows();
  for (Input& input : inputs_) {
    size_t end = input.per_row == columns ? elements : rows * input.per_row;
    if (input.weighed) end = std::min(end, weighed * input.per_row);
    input.tensor.Release(end);
  }
}

absl::Status Stream::End() {
  return NoThrow([&]() -> absl::Status {
    if (!computation_) {
      return InvalidField({"part", std::nullopt, "no message", "a header"});
    }
    for (const Input& input : inputs_) {
      if (input.tensor.complete()) continue;
      return InvalidField(
          {input.tensor.name(), std::nullopt,
           absl::StrCat(input.tensor.received(),
                        " elements before the end of the stream"),
           absl::StrCat(input.tensor.elements(), " elements")});
    }
    return WriteResult();
  });
}

absl::Status Stream::WriteResult() {
  const absl::StatusOr<LossResult> computed = computation_->Finish();
  if (!computed.ok()) return item_.WithProtoPath(computed.status());
  finite_ = IsFinite(*computed);
  v1::ComputeStreamResponse response;
  item_.Encode(*computed, response.mutable_result());
  response.set_numerics_version(std::string(NumericsVersion()));
  const std::optional<double> scale = computation_->gradient_scale();
  if (scale && item_.outputs().stream_outputs().gradient) {
    response.set_gradient_scale(*scale);
  }
  output_.push_back(wire::WriteMessage(response, {}));
  return absl::OkStatus();
}

void Stream::Count(absl::StatusCode code) {
  if (header_ == nullptr) return;
  const bool computed = code == absl::StatusCode::kOk;
  metrics_.losses().Count({.loss = item_.loss_name(),
                           .code = code,
                           .items = 1,
                           .elements = computed ? item_.elements() : 0,
                           .nonfinite = computed && !finite_ ? 1U : 0U});
}

}  // namespace lossd
