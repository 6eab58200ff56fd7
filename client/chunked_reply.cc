#include "client/chunked_reply.h"

#include <algorithm>
#include <array>
#include <span>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/messages.h"
#include "client/scale.h"
#include "client/sizes.h"
#include "client/status.h"
#include "proto/wire/reader.h"

namespace lossd::client_internal {

absl::Status CheckRowLossesBefore(const LossCall& call) {
  if (call.row_losses.empty() || !call.predictions) return absl::OkStatus();
  const std::vector<int64_t>& shape = call.predictions->shape;
  const std::optional<int64_t> elements = Product(shape);
  if (!elements || *elements == 0) return absl::OkStatus();
  // What a row is depends on loss, options and semantics.
  std::vector<int64_t> rows = {*elements, 1};
  if (!shape.empty()) {
    rows.insert(rows.begin() + 1, {*elements / shape.back(), shape.front()});
  }
  const auto given = static_cast<int64_t>(call.row_losses.size());
  if (std::ranges::find(rows, given) != rows.end()) return absl::OkStatus();
  return InvalidField(
      "row_losses", absl::StrCat(call.row_losses.size_bytes(), " bytes"),
      absl::StrCat("one element of ", sizeof(double), " bytes for each row: ",
                   absl::StrJoin(rows, ", "), " as the loss has it"));
}

ChunkedReply::ChunkedReply(const LossCall& call, std::string target)
    : call_(call), target_(std::move(target)) {
  const auto add = [this](std::string name, std::string field,
                          const MutableArrayView& to, size_t element_bytes) {
    auto* const data =
        to.bytes > 0 ? static_cast<std::byte*>(to.data) : nullptr;
    destinations_.push_back(
        {std::move(name), std::move(field), data, to.bytes, element_bytes});
  };
  if (call.gradient.bytes > 0 || !call.extra_gradients.empty()) {
    add("gradient", "gradient", call.gradient, SizeOf(call.gradient.dtype));
    for (const auto& [name, input] : call.extra_inputs) {
      const auto to = call.extra_gradients.find(name);
      const MutableArrayView view =
          to == call.extra_gradients.end() ? MutableArrayView{} : to->second;
      add(name, absl::StrCat("extra_gradients.", name), view,
          SizeOf(view.dtype));
    }
  }
  if (!call.row_losses.empty() || call.reduction == v1::REDUCTION_NONE) {
    add("row_losses", "row_losses",
        {v1::DTYPE_FLOAT64, call.row_losses.data(),
         call.row_losses.size_bytes()},
        sizeof(double));
  }
}

absl::Status ChunkedReply::Broken(const std::string& what) const {
  return absl::InternalError(absl::StrCat(target_, ": the server sent ", what));
}

absl::Status ChunkedReply::Accept(const grpc::ByteBuffer& body) {
  v1::ComputeStreamResponse message;
  wire::ReceivedPayloads payloads;
  if (!wire::ReadMessage(body, &message, &payloads)) {
    return Broken(absl::StrCat(body.Length(),
                               " bytes that are no "
                               "lossd.v1.ComputeStreamResponse"));
  }
  if (last_) return Broken("a message after the result");
  switch (message.part_case()) {
    case v1::ComputeStreamResponse::kChunk:
      return AcceptChunk(message.chunk(), payloads.Of(message.chunk().data()));
    case v1::ComputeStreamResponse::kResult:
      last_ = std::move(message);
      return absl::OkStatus();
    case v1::ComputeStreamResponse::PART_NOT_SET:
      break;
  }
  return Broken("a message with neither a chunk nor a result");
}

absl::Status ChunkedReply::AcceptChunk(const v1::StreamChunk& chunk,
                                       const wire::Payload& payload) {
  const auto found =
      std::ranges::find(destinations_, chunk.tensor(), &Destination::name);
  if (found == destinations_.end()) {
    return Broken(absl::StrCat("a chunk of '", chunk.tensor().substr(0, 50),
                               "', which was not asked for"));
  }
  Destination& to = *found;
  if (to.data == nullptr) return absl::OkStatus();
  const size_t expected = to.received / to.element_bytes;
  const auto what = [&] {
    return absl::StrCat("a chunk of ", to.field, " with ", payload.size(),
                        " bytes from element ", chunk.first_element());
  };
  if (chunk.first_element() != static_cast<int64_t>(expected) ||
      payload.size() % to.element_bytes != 0) {
    return Broken(absl::StrCat(what(), ", expected were elements of ",
                               to.element_bytes, " bytes from ", expected));
  }
  if (payload.size() > to.bytes - to.received) {
    if (to.name == "row_losses") {
      return InvalidField("row_losses", absl::StrCat(to.bytes, " bytes"),
                          "one element for each row; there are more rows");
    }
    return Broken(absl::StrCat(what(), ", expected were at most ",
                               to.bytes - to.received, " bytes more"));
  }
  for (const std::span<const std::byte> piece : payload.pieces()) {
    std::ranges::copy(piece, to.data + to.received);
    to.received += piece.size();
  }
  return absl::OkStatus();
}

absl::Status ChunkedReply::CheckComplete() const {
  if (!last_) return Broken("no result");
  absl::Status status = FromItem(last_->result().status());
  if (!status.ok()) return status;
  for (const Destination& to : destinations_) {
    if (to.data == nullptr) continue;
    if (to.name == "row_losses") {
      const v1::LossResult& result = last_->result();
      status =
          CheckRowLosses(to.bytes, result.row_count() + result.masked_count() +
                                       result.ignored_count());
      if (!status.ok()) return status;
    } else if (to.name != "gradient" && to.received == 0) {
      return NoSuchGradient(to.field);
    }
    if (to.received == to.bytes) continue;
    return Broken(absl::StrCat(to.received, " bytes of ", to.field,
                               ", expected were ", to.bytes));
  }
  return absl::OkStatus();
}

absl::StatusOr<ClientResult> ChunkedReply::Finish() {
  absl::Status status = CheckComplete();
  if (!status.ok()) return status;
  ClientResult result = ResultOf(last_->result());
  if (!last_->has_gradient_scale()) return result;
  const double scale = last_->gradient_scale();
  Scale(call_.gradient, scale);
  for (const auto& [name, gradient] : call_.extra_gradients) {
    Scale(gradient, scale);
  }
  for (const char* norm : {"gradient_l2_norm", "gradient_max_norm"}) {
    const auto figure = result.diagnostics.find(norm);
    if (figure != result.diagnostics.end()) figure->second *= scale;
  }
  return result;
}

}  // namespace lossd::client_internal
