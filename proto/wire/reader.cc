#include "proto/wire/reader.h"

#include <grpcpp/impl/codegen/proto_utils.h>

#include <algorithm>
#include <cstdint>

#include "proto/wire/varint.h"

namespace lossd::wire {
namespace {

// A place in a message that lies in slices.
class Cursor {
 public:
  explicit Cursor(const std::vector<grpc::Slice>& slices)
      : next_(slices.data()), last_(slices.data() + slices.size()) {}

  // Bytes before this place.
  size_t position() const { return position_; }

  // A number without leading zeros, which ends before `end`.
  bool ReadVarint(size_t end, uint64_t* number) {
    uint64_t result = 0;
    for (size_t i = 0; i < kMaxVarintSize; ++i) {
      if (position_ == end || !HasByte()) return false;
      const uint8_t byte = *at_++;
      ++position_;
      result |= uint64_t{byte & 0x7FU} << (7 * i);
      if (byte >= 0x80) continue;
      *number = result;
      const bool fits = i + 1 < kMaxVarintSize || byte <= 1;
      return fits && (byte != 0 || i == 0);
    }
    return false;
  }

  // Hands the next `size` bytes to `sink`, run by run.
  template <class Sink>
  bool Take(size_t size, Sink sink) {
    while (size > 0) {
      if (!HasByte()) return false;
      const size_t run = std::min(size, static_cast<size_t>(end_ - at_));
      sink(at_, run);
      at_ += run;
      position_ += run;
      size -= run;
    }
    return true;
  }

 private:
  bool HasByte() {
    while (at_ == end_) {
      if (next_ == last_) return false;
      at_ = next_->begin();
      end_ = next_->end();
      ++next_;
    }
    return true;
  }

  const grpc::Slice* next_;
  const grpc::Slice* last_;
  const uint8_t* at_ = nullptr;
  const uint8_t* end_ = nullptr;
  size_t position_ = 0;
};

// Room for the length of a message that is still to be written: as many bytes
// as a parser takes for one.
constexpr size_t kLengthSize = 5;

// A message whose payloads are smaller on average is not worth the trouble, and
// would take many times its size in memory.
constexpr size_t kBytesAPayload = 16;
constexpr size_t kFewPayloads = 1024;

void AppendVarint(uint64_t number, std::string* to) {
  uint8_t bytes[kMaxVarintSize];
  const uint8_t* const end = WriteVarint(number, bytes);
  to->append(static_cast<const uint8_t*>(bytes), end);
}

// Writes a length with leading zeros into the room for it.
void SetLength(size_t length, char* room) {
  for (size_t i = 0; i < kLengthSize; ++i) {
    const bool more = i + 1 < kLengthSize;
    room[i] = static_cast<char>((length & 0x7F) | (more ? 0x80U : 0U));
    length >>= 7;
  }
}

}  // namespace

// Copies a message but for its payloads.
class Detacher {
 public:
  // Of a message of so many bytes.
  Detacher(size_t size, ReceivedPayloads* payloads, std::string* rest)
      : cursor_(payloads->slices_),
        payloads_(*payloads),
        rest_(*rest),
        most_payloads_(kFewPayloads + size / kBytesAPayload) {}

  // False for what is better left to the generated parser.
  bool Detach(const Layout& layout, size_t end) {
    while (cursor_.position() < end) {
      uint64_t tag = 0;
      if (!cursor_.ReadVarint(end, &tag) || tag > UINT32_MAX || tag < 8) {
        return false;
      }
      AppendVarint(tag, &rest_);
      if (!DetachField(layout, tag, end)) return false;
    }
    return true;
  }

 private:
  bool DetachField(const Layout& layout, uint64_t tag, size_t end) {
    uint64_t number = 0;
    switch (tag & 7) {
      case kVarint:
        if (!cursor_.ReadVarint(end, &number)) return false;
        AppendVarint(number, &rest_);
        return true;
      case kFixed64:
        return Copy(8, end);
      case kFixed32:
        return Copy(4, end);
      case kLengthDelimited:
        break;
      default:
        return false;
    }
    if (!cursor_.ReadVarint(end, &number)) return false;
    if (number > end - cursor_.position()) return false;
    const Layout::Field* const field = layout.Find(tag >> 3);
    if (field == nullptr) {
      AppendVarint(number, &rest_);
      return Copy(number, end);
    }
    return field->message == nullptr ? DetachPayload(number)
                                     : DetachMessage(*field->message, number);
  }

  bool DetachMessage(const Layout& layout, size_t size) {
    const size_t room = rest_.size();
    rest_.append(kLengthSize, '\0');
    const size_t begin = rest_.size();
    if (!Detach(layout, cursor_.position() + size)) return false;
    SetLength(rest_.size() - begin, &rest_[room]);
    return true;
  }

  bool DetachPayload(size_t size) {
    const auto index = static_cast<uint32_t>(payloads_.ranges_.size());
    if (payloads_.ranges_.size() == most_payloads_) return false;
    const size_t first = payloads_.pieces_.size();
    const bool complete =
        cursor_.Take(size, [this](const uint8_t* run, size_t length) {
          payloads_.pieces_.push_back(std::as_bytes(std::span(run, length)));
        });
    payloads_.ranges_.push_back(
        {first, payloads_.pieces_.size() - first, size});
    AppendVarint(kMarkerSize, &rest_);
    rest_ += MarkerOf(index);
    return complete;
  }

  bool Copy(size_t size, size_t end) {
    return size <= end - cursor_.position() &&
           cursor_.Take(size, [this](const uint8_t* run, size_t length) {
             rest_.append(run, run + length);
           });
  }

  Cursor cursor_;
  ReceivedPayloads& payloads_;
  std::string& rest_;
  const size_t most_payloads_;
};

Payload ReceivedPayloads::Of(const std::string& field) const {
  if (copied_) return Payload(std::as_bytes(std::span(field)));
  // A field that was not in the message.
  if (field.size() != kMarkerSize) return {};
  const Range& range = ranges_[IndexOf(field.data())];
  return {std::span(pieces_).subspan(range.first, range.count), range.size};
}

bool Read(const grpc::ByteBuffer& body, const Layout& layout,
          google::protobuf::MessageLite* message, ReceivedPayloads* payloads,
          const MayParse& may_parse) {
  if (!body.Valid() || !body.Dump(&payloads->slices_).ok()) return false;
  std::string rest;
  if (Detacher(body.Length(), payloads, &rest).Detach(layout, body.Length())) {
    return may_parse(rest.size()) && message->ParseFromString(rest);
  }
  if (!may_parse(body.Length())) return false;
  payloads->copied_ = true;
  grpc::ByteBuffer unread = body;
  return grpc::GenericDeserialize<grpc::ProtoBufferReader,
                                  google::protobuf::MessageLite>(&unread,
                                                                 message)
      .ok();
}

}  // namespace lossd::wire
