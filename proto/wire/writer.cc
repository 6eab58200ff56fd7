#include "proto/wire/writer.h"

#include <grpc/slice.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <span>

#include "proto/wire/varint.h"

namespace lossd::wire {
namespace {

// Slices that are written one after the other.
constexpr size_t kChunkSize = size_t{1} << 20;

// Joins what is copied and what is referenced.
class SliceWriter {
 public:
  // `copied`: bytes that will be appended by copying.
  explicit SliceWriter(size_t copied) : left_(copied) {}

  void Copy(const void* bytes, size_t size) {
    const auto* from = static_cast<const uint8_t*>(bytes);
    while (size > 0) {
      if (at_ == end_) NextChunk();
      const size_t run = std::min(size, static_cast<size_t>(end_ - at_));
      std::memcpy(at_, from, run);
      at_ += run;
      from += run;
      size -= run;
    }
  }

  void Reference(const grpc::Slice& slice) {
    Flush();
    slices_.push_back(slice);
  }

  grpc::ByteBuffer Finish() {
    Flush();
    grpc::ByteBuffer buffer(slices_.data(), slices_.size());
    return buffer;
  }

 private:
  void NextChunk() {
    Flush();
    const size_t size = std::min(left_, kChunkSize);
    left_ -= size;
    chunk_ = grpc::Slice(grpc_slice_malloc(size), grpc::Slice::STEAL_REF);
    // Nobody else has seen it yet.
    flushed_ = at_ = const_cast<uint8_t*>(chunk_.begin());
    end_ = at_ + size;
  }

  void Flush() {
    if (at_ == flushed_) return;
    const auto begin = static_cast<size_t>(flushed_ - chunk_.begin());
    const auto end = static_cast<size_t>(at_ - chunk_.begin());
    grpc_slice whole = chunk_.c_slice();
    slices_.emplace_back(grpc_slice_sub(whole, begin, end),
                         grpc::Slice::STEAL_REF);
    grpc_slice_unref(whole);
    flushed_ = at_;
  }

  size_t left_;
  std::vector<grpc::Slice> slices_;
  grpc::Slice chunk_;
  uint8_t* flushed_ = nullptr;
  uint8_t* at_ = nullptr;
  uint8_t* end_ = nullptr;
};

// Puts payloads into a serialised message, whose encoding is ours.
class Attacher {
 public:
  explicit Attacher(const SentPayloads& payloads) : payloads_(payloads) {}

  // Size of the message with its payloads.
  size_t Measure(const Layout& layout, const uint8_t* at, const uint8_t* end) {
    size_t size = 0;
    while (at < end) {
      const uint8_t* const begin = at;
      const Field field = NextField(layout, &at);
      if (field.kind == Kind::kPlain) {
        size += static_cast<size_t>(at - begin);
        copied_ += static_cast<size_t>(at - begin);
        continue;
      }
      size_t content = 0;
      if (field.kind == Kind::kPayload) {
        content = payloads_[IndexOfField(field)].size();
        if (content <= kCopiedPayload) copied_ += content;
      } else {
        const size_t place = sizes_.size();
        sizes_.push_back(0);
        content = Measure(*field.message, field.begin, at);
        sizes_[place] = content;
      }
      const size_t head = VarintSize(field.tag) + VarintSize(content);
      size += head + content;
      copied_ += head;
    }
    return size;
  }

  // Of what Measure has seen.
  grpc::ByteBuffer Write(const Layout& layout, const uint8_t* at,
                         const uint8_t* end) {
    SliceWriter out(copied_);
    WriteFields(layout, at, end, &out);
    return out.Finish();
  }

 private:
  enum class Kind : uint8_t { kPlain, kPayload, kMessage };
  struct Field {
    Kind kind = Kind::kPlain;
    uint64_t tag = 0;
    const uint8_t* begin = nullptr;
    const Layout* message = nullptr;
  };

  static uint64_t ReadVarint(const uint8_t** at) {
    uint64_t number = 0;
    for (unsigned shift = 0;; shift += 7) {
      const uint8_t byte = *(*at)++;
      number |= uint64_t{byte & 0x7FU} << shift;
      if (byte < 0x80) return number;
    }
  }

  // Moves `at` behind the field.
  static Field NextField(const Layout& layout, const uint8_t** at) {
    Field field;
    field.tag = ReadVarint(at);
    switch (field.tag & 7) {
      case kVarint:
        ReadVarint(at);
        return field;
      case kFixed64:
        *at += 8;
        return field;
      case kFixed32:
        *at += 4;
        return field;
      default:
        break;
    }
    const uint64_t size = ReadVarint(at);
    field.begin = *at;
    *at += size;
    const Layout::Field* const known = layout.Find(field.tag >> 3);
    if (known == nullptr) return field;
    field.kind = known->message == nullptr ? Kind::kPayload : Kind::kMessage;
    field.message = known->message;
    return field;
  }

  static size_t IndexOfField(const Field& field) {
    return IndexOf(reinterpret_cast<const char*>(field.begin));
  }

  void WriteFields(const Layout& layout, const uint8_t* at, const uint8_t* end,
                   SliceWriter* out) {
    while (at < end) {
      const uint8_t* const begin = at;
      const Field field = NextField(layout, &at);
      if (field.kind == Kind::kPlain) {
        out->Copy(begin, static_cast<size_t>(at - begin));
        continue;
      }
      const bool is_message = field.kind == Kind::kMessage;
      const size_t size = is_message ? sizes_[next_size_++]
                                     : payloads_[IndexOfField(field)].size();
      uint8_t head[2 * kMaxVarintSize];
      const uint8_t* const head_end =
          WriteVarint(size, WriteVarint(field.tag, head));
      out->Copy(head, static_cast<size_t>(head_end - head));
      if (is_message) {
        WriteFields(*field.message, field.begin, at, out);
        continue;
      }
      const grpc::Slice& payload = payloads_[IndexOfField(field)];
      if (size > kCopiedPayload) {
        out->Reference(payload);
      } else {
        out->Copy(payload.begin(), size);
      }
    }
  }

  const SentPayloads& payloads_;
  // Of the messages with payloads, in the order in which they begin.
  std::vector<size_t> sizes_;
  size_t next_size_ = 0;
  size_t copied_ = 0;
};

}  // namespace

grpc::ByteBuffer Write(const google::protobuf::MessageLite& message,
                       const Layout& layout, const SentPayloads& payloads) {
  const std::string plain = message.SerializeAsString();
  const auto* begin = reinterpret_cast<const uint8_t*>(plain.data());
  const uint8_t* end = begin + plain.size();
  Attacher attacher(payloads);
  attacher.Measure(layout, begin, end);
  return attacher.Write(layout, begin, end);
}

}  // namespace lossd::wire
