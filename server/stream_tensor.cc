#include "server/stream_tensor.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"

namespace lossd {
namespace {

// Pieces that are smaller on average are copied: each takes more memory for its
// message, or its place, than it has bytes.
constexpr size_t kWorthAPiece = 4096;

// Where copies go, side by side.
constexpr size_t kCopies = size_t{64} << 10;

}  // namespace

StreamTensor::StreamTensor(std::string name, Dtype dtype, size_t elements,
                           Window* window, BufferPool& pool)
    : name_(std::move(name)),
      dtype_(dtype),
      elements_(elements),
      window_(*window),
      pool_(pool) {}

absl::Status StreamTensor::Check(const v1::StreamChunk& chunk,
                                 size_t bytes) const {
  const auto refuse = [&](const char* field, const std::string& got,
                          std::string allowed) {
    return InvalidField({absl::StrCat("chunk.", field), std::nullopt,
                         absl::StrCat(got, " of ", name_), std::move(allowed)});
  };
  if (bytes % element_bytes() != 0) {
    return refuse("data", absl::StrCat(bytes, " bytes"),
                  absl::StrCat("a multiple of the ", element_bytes(),
                               " bytes of a ", std::string(NameOf(dtype_))));
  }
  if (chunk.first_element() != static_cast<int64_t>(received_)) {
    return refuse("first_element",
                  absl::StrCat("element ", chunk.first_element()),
                  absl::StrCat("element ", received_,
                               ", the next one: chunks come in order, without "
                               "gaps"));
  }
  const size_t count = bytes / element_bytes();
  if (count <= elements_ - received_) return absl::OkStatus();
  return refuse("data", absl::StrCat(count, " elements"),
                absl::StrCat("at most the ", elements_ - received_,
                             " elements that are still to come"));
}

absl::Status StreamTensor::Append(std::unique_ptr<StreamMessage> message) {
  const v1::StreamChunk& chunk = message->request.chunk();
  const wire::Payload payload = message->payloads.Of(chunk.data());
  LOSSD_RETURN_IF_ERROR(Check(chunk, payload.size()));
  if (payload.size() > 0) Keep(payload, std::move(message));
  window_.pieces = pieces_;
  received_ = end_ / element_bytes();
  return absl::OkStatus();
}

void StreamTensor::Keep(const wire::Payload& payload,
                        std::unique_ptr<StreamMessage> message) {
  const auto runs = payload.pieces();
  // So are payloads that would keep more than themselves.
  if (payload.size() < kWorthAPiece * runs.size() ||
      payload.size() < message->bytes / 2) {
    for (const auto run : runs) Copy(run);
    return;
  }
  Chunk& chunk = chunks_.emplace_back();
  chunk.message = std::move(message);
  for (const auto run : runs) {
    pieces_.push_back({end_, run});
    end_ += run.size();
    ++chunk.pieces;
  }
  chunk.end = end_;
}

void StreamTensor::Copy(std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    if (chunks_.empty() ||
        chunks_.back().used == chunks_.back().buffer.size()) {
      Chunk fresh;
      fresh.buffer = pool_.Get(kCopies);
      pieces_.push_back({end_, std::span(fresh.buffer.data(), 0)});
      fresh.pieces = 1;
      chunks_.push_back(std::move(fresh));
    }
    Chunk& chunk = chunks_.back();
    const size_t taken =
        std::min(bytes.size(), chunk.buffer.size() - chunk.used);
    std::memcpy(chunk.buffer.data() + chunk.used, bytes.data(), taken);
    chunk.used += taken;
    pieces_.back().bytes = {chunk.buffer.data(), chunk.used};
    end_ += taken;
    chunk.end = end_;
    bytes = bytes.subspan(taken);
  }
}

void StreamTensor::Release(size_t element) {
  released_ = std::min(element, received_);
  size_t pieces = 0;
  while (!chunks_.empty() &&
         chunks_.front().end <= released_ * element_bytes()) {
    pieces += chunks_.front().pieces;
    chunks_.pop_front();
  }
  pieces_.erase(pieces_.begin(),
                pieces_.begin() + static_cast<std::ptrdiff_t>(pieces));
  window_.pieces = pieces_;
}

}  // namespace lossd
