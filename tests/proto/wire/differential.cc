#include "tests/proto/wire/differential.h"

#include <google/protobuf/stubs/logging.h>

#include <algorithm>
#include <cstring>
#include <random>
#include <vector>

#include "proto/wire/reader.h"
#include "proto/wire/writer.h"

namespace lossd::wire {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

bool HoldsTensorBytes(const FieldDescriptor& field) {
  static const FieldDescriptor* const fields[] = {
      v1::Tensor::descriptor()->FindFieldByName("data"),
      v1::StreamChunk::descriptor()->FindFieldByName("data")};
  return std::ranges::find(fields, &field) != std::end(fields);
}

std::string Bytes(const Payload& payload) {
  std::string bytes;
  for (const auto piece : payload.pieces()) {
    bytes.append(reinterpret_cast<const char*>(piece.data()), piece.size());
  }
  return bytes;
}

template <class M>
std::string DifferenceAs(std::string_view bytes, uint32_t seed) {
  const std::string name = M::descriptor()->name() + ": ";
  M expected;
  const bool accepted =
      expected.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()));
  M message;
  ReceivedPayloads payloads;
  const bool read = ReadMessage(Cut(bytes, seed), &message, &payloads);
  if (read != accepted) {
    return name + (read ? "accepted, but no message" : "refused");
  }
  if (!read) return "";
  bool sizes_differ = false;
  ReplaceTensorBytes(&message, [&](const std::string& field) {
    const Payload payload = payloads.Of(field);
    std::string whole = Bytes(payload);
    sizes_differ |= whole.size() != payload.size();
    return whole;
  });
  if (sizes_differ) return name + "sizes of payloads";
  // Text, since NaN differs from itself.
  if (message.DebugString() != expected.DebugString()) {
    return name + "another message";
  }
  // Nobody writes what he does not know. (Of `message` nothing could be
  // discarded in maps: protobuf does not, once reflection has gone through
  // them.)
  expected.DiscardUnknownFields();
  const std::string known = expected.DebugString();
  SentPayloads sent;
  ReplaceTensorBytes(&expected, [&sent](const std::string& field) {
    return sent.Add(grpc::Slice(field));
  });
  M back;
  const std::string written = Join(WriteMessage(expected, sent));
  if (!back.ParseFromString(written)) {
    return name + "what was written is no message";
  }
  if (back.ByteSizeLong() != written.size()) {
    return name + "what was written is longer than need be";
  }
  if (back.DebugString() != known) {
    return name + "another message was written";
  }
  return "";
}

}  // namespace

grpc::ByteBuffer Cut(std::string_view bytes, uint32_t seed) {
  std::minstd_rand random(seed);
  const size_t longest = size_t{1} << (random() % 16);
  std::vector<grpc::Slice> slices;
  while (!bytes.empty()) {
    const size_t size =
        std::min<size_t>(random() % (longest + 1), bytes.size());
    slices.emplace_back(bytes.data(), size);
    bytes.remove_prefix(size);
  }
  return {slices.data(), slices.size()};
}

std::string Join(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Valid() || !buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

void ReplaceTensorBytes(
    Message* message,
    const std::function<std::string(const std::string&)>& replace) {
  const auto& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (HoldsTensorBytes(*field)) {
      std::string bytes = replace(reflection.GetString(*message, field));
      reflection.SetString(message, field, std::move(bytes));
    } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      if (!field->is_repeated()) {
        ReplaceTensorBytes(reflection.MutableMessage(message, field), replace);
        continue;
      }
      for (int i = 0; i < reflection.FieldSize(*message, field); ++i) {
        ReplaceTensorBytes(reflection.MutableRepeatedMessage(message, field, i),
                           replace);
      }
    }
  }
}

std::string Difference(std::string_view bytes, uint32_t seed) {
  // Of strings that are no UTF-8.
  const google::protobuf::LogSilencer silencer;
  for (const std::string& difference :
       {DifferenceAs<v1::ComputeRequest>(bytes, seed),
        DifferenceAs<v1::ComputeResponse>(bytes, seed),
        DifferenceAs<v1::ComputeStreamRequest>(bytes, seed),
        DifferenceAs<v1::ComputeStreamResponse>(bytes, seed)}) {
    if (!difference.empty()) return difference;
  }
  return "";
}

std::string DifferenceOfInput(std::string_view input) {
  if (input.size() < kSeedSize) return "";
  uint16_t seed = 0;
  static_assert(sizeof(seed) == kSeedSize);
  std::memcpy(&seed, input.data(), kSeedSize);
  return Difference(input.substr(kSeedSize), seed);
}

}  // namespace lossd::wire
