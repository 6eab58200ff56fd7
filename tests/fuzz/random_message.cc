#include "tests/fuzz/random_message.h"

#include <google/protobuf/message.h>

#include <cstdint>
#include <limits>
#include <memory>

#include "lossd/v1/loss_service.pb.h"

namespace lossd::fuzz {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

// google.protobuf.Struct may hold itself.
constexpr int kMaxDepth = 8;

template <class T>
T Integer(Random* random) {
  constexpr T kEdges[] = {0,
                          1,
                          127,
                          128,
                          static_cast<T>(-1),
                          std::numeric_limits<T>::min(),
                          std::numeric_limits<T>::max()};
  return random->Of(kEdges);
}

double Number(Random* random) {
  constexpr double kEdges[] = {0,
                               -0.0,
                               0.25,
                               std::numeric_limits<double>::denorm_min(),
                               std::numeric_limits<double>::infinity(),
                               std::numeric_limits<double>::quiet_NaN()};
  return random->Of(kEdges);
}

// Few, so that a map has the same key twice once fields have been copied.
std::string Text(Random* random) {
  const std::string edges[] = {"", "a", "variance", "\xC3\xA4",
                               std::string("\0", 1)};
  return random->Of(edges);
}

// As long as a payload's number is, as the longest length of one byte, and as
// what is sent without a copy, or around that.
std::string Bytes(Random* random) {
  constexpr size_t kSizes[] = {0, 1, 3, 4, 4, 5, 16, 24, 127, 128, 300};
  const size_t size = random->OneIn(50) ? 4090 + random->Below(20)  //
                                        : random->Of(kSizes);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random->Below(256));
  return bytes;
}

void Fill(Message* message, Random* random, int depth);

void Set(Message* message, const FieldDescriptor* field, Random* random,
         int depth) {
  const auto& reflection = *message->GetReflection();
  const auto set = [&](auto add, auto assign, auto value) {
    if (field->is_repeated()) {
      (reflection.*add)(message, field, value);
    } else {
      (reflection.*assign)(message, field, value);
    }
  };
  using R = google::protobuf::Reflection;
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return set(&R::AddInt32, &R::SetInt32, Integer<int32_t>(random));
    case FieldDescriptor::CPPTYPE_INT64:
      return set(&R::AddInt64, &R::SetInt64, Integer<int64_t>(random));
    case FieldDescriptor::CPPTYPE_UINT32:
      return set(&R::AddUInt32, &R::SetUInt32, Integer<uint32_t>(random));
    case FieldDescriptor::CPPTYPE_UINT64:
      return set(&R::AddUInt64, &R::SetUInt64, Integer<uint64_t>(random));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return set(&R::AddDouble, &R::SetDouble, Number(random));
    case FieldDescriptor::CPPTYPE_FLOAT:
      return set(&R::AddFloat, &R::SetFloat,
                 static_cast<float>(Number(random)));
    case FieldDescriptor::CPPTYPE_BOOL:
      return set(&R::AddBool, &R::SetBool, random->OneIn(2));
    case FieldDescriptor::CPPTYPE_ENUM:
      return set(&R::AddEnumValue, &R::SetEnumValue, Integer<int32_t>(random));
    case FieldDescriptor::CPPTYPE_STRING:
      return set(&R::AddString, &R::SetString,
                 field->type() == FieldDescriptor::TYPE_BYTES ? Bytes(random)
                                                              : Text(random));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Fill(field->is_repeated()
                      ? reflection.AddMessage(message, field)
                      : reflection.MutableMessage(message, field),
                  random, depth + 1);
  }
}

void Fill(Message* message, Random* random, int depth) {
  if (depth > kMaxDepth) return;
  const auto& descriptor = *message->GetDescriptor();
  for (int i = 0; i < descriptor.field_count(); ++i) {
    const FieldDescriptor* const field = descriptor.field(i);
    const auto* const oneof = field->real_containing_oneof();
    const int rarity = oneof == nullptr ? 3 : oneof->field_count();
    if (!random->OneIn(static_cast<size_t>(rarity))) continue;
    const size_t count = field->is_repeated() ? random->Below(4) : 1;
    for (size_t j = 0; j < count; ++j) Set(message, field, random, depth);
  }
}

}  // namespace

std::string RandomMessage(Random* random) {
  const Message* const prototypes[] = {
      &v1::ComputeRequest::default_instance(),
      &v1::ComputeResponse::default_instance(),
      &v1::ComputeStreamRequest::default_instance(),
      &v1::ComputeStreamResponse::default_instance(),
      &v1::LossItem::default_instance(),
      &v1::LossResult::default_instance(),
      &v1::StreamChunk::default_instance(),
      &v1::Tensor::default_instance(),
  };
  const std::unique_ptr<Message> message(random->Of(prototypes)->New());
  Fill(message.get(), random, 0);
  return message->SerializeAsString();
}

}  // namespace lossd::fuzz
