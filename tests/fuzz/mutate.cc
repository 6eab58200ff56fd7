#include "tests/fuzz/mutate.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>
#include <vector>

#include "proto/wire/varint.h"
#include "tests/fuzz/random.h"
#include "tests/fuzz/random_message.h"
#include "tests/proto/wire/differential.h"

// libFuzzer's own mutations; returns the new size.
extern "C" size_t LLVMFuzzerMutate(uint8_t* data, size_t size, size_t max_size);

namespace lossd::fuzz {
namespace {

// Levels of messages below which bytes are just bytes.
constexpr int kMaxDepth = 12;

// With zeros in front that need not be.
std::string Varint(uint64_t number, size_t zeros = 0) {
  uint8_t bytes[wire::kMaxVarintSize];
  std::string varint(static_cast<uint8_t*>(bytes),
                     wire::WriteVarint(number, bytes));
  for (; zeros > 0; --zeros) {
    varint.back() = static_cast<char>(varint.back() | '\x80');
    varint += '\0';
  }
  return varint;
}

// Takes one from the front of `bytes`, as it is written.
bool TakeVarint(std::string_view* bytes, std::string* varint,
                uint64_t* number) {
  *number = 0;
  for (size_t i = 0; i < std::min(bytes->size(), wire::kMaxVarintSize); ++i) {
    const auto byte = static_cast<uint8_t>((*bytes)[i]);
    *number |= uint64_t{byte & 0x7FU} << (7 * i);
    if (byte >= 0x80) continue;
    *varint = bytes->substr(0, i + 1);
    bytes->remove_prefix(i + 1);
    return true;
  }
  return false;
}

// A field as it is written; both ends of a group are fields without content.
struct Field {
  std::string tag;
  // Empty but for fields that have one.
  std::string length;
  std::string content;
};

bool TakeField(std::string_view* bytes, Field* field) {
  uint64_t number = 0;
  if (!TakeVarint(bytes, &field->tag, &number)) return false;
  size_t size = 0;
  switch (number & 7) {
    case wire::kVarint:
      return TakeVarint(bytes, &field->content, &number);
    case wire::kFixed64:
      size = 8;
      break;
    case wire::kFixed32:
      size = 4;
      break;
    case wire::kLengthDelimited:
      if (!TakeVarint(bytes, &field->length, &size)) return false;
      break;
    default:
      return true;
  }
  if (size > bytes->size()) return false;
  field->content = bytes->substr(0, size);
  bytes->remove_prefix(size);
  return true;
}

std::vector<Field> Split(std::string_view bytes) {
  std::vector<Field> fields;
  while (!bytes.empty()) {
    std::string_view rest = bytes;
    Field field;
    if (!TakeField(&rest, &field)) {
      fields.push_back({.tag = "", .length = "", .content{bytes}});
      break;
    }
    fields.push_back(std::move(field));
    bytes = rest;
  }
  return fields;
}

std::string Join(const std::vector<Field>& fields) {
  std::string bytes;
  for (const Field& field : fields) {
    bytes += field.tag + field.length + field.content;
  }
  return bytes;
}

std::string MutateBytes(std::string bytes, size_t more) {
  const size_t size = bytes.size();
  bytes.resize(size + more);
  bytes.resize(LLVMFuzzerMutate(reinterpret_cast<uint8_t*>(bytes.data()), size,
                                bytes.size()));
  return bytes;
}

// Numbers of fields: all that the messages have, some that none has, and what
// is no number.
uint64_t AnyNumber(Random* random) {
  constexpr uint64_t kRare[] = {
      0, 15, 16, 1000, 2047, 2048, 1U << 28, (1U << 29) - 1, 1U << 29};
  return random->OneIn(8) ? random->Of(kRare) : 1 + random->Below(12);
}

std::string AnyTag(Random* random, uint64_t type) {
  return Varint(AnyNumber(random) << 3 | type);
}

// What is legal and rare, or just not legal.
Field OddField(Random* random) {
  const std::string numbers[] = {
      Varint(0),
      Varint(2, 1),
      Varint(UINT32_MAX),
      Varint(uint64_t{1} << 32),
      Varint(UINT64_MAX),
      // More than 64 bits, more than ten bytes, no end.
      std::string(9, '\xFF') + '\2',
      std::string(10, '\xFF') + '\1',
      "\x80",
  };
  const uint64_t group = AnyNumber(random) << 3;
  switch (random->Below(7)) {
    case 0:
      return {AnyTag(random, wire::kVarint), "", random->Of(numbers)};
    case 1:
      return {AnyTag(random, wire::kFixed64), "", "12345678"};
    case 2:
      return {AnyTag(random, wire::kFixed32), "", "1234"};
    case 3:
      return {AnyTag(random, wire::kLengthDelimited), Varint(0), ""};
    case 4:
      return {AnyTag(random, wire::kLengthDelimited), random->Of(numbers), ""};
    case 5:
      // A group that ends or not, or an end, or a type that there is not.
      return {Varint(group | 3), "", random->OneIn(2) ? "" : Varint(group | 4)};
    default:
      return {AnyTag(random, 4 + random->Below(4)), "", ""};
  }
}

std::string Mutate(const std::string& message, Random* random, int depth) {
  std::vector<Field> fields = Split(message);
  const auto insert = [&](Field field) {
    const size_t place = random->Below(fields.size() + 1);
    fields.insert(fields.begin() + static_cast<std::ptrdiff_t>(place),
                  std::move(field));
  };
  if (fields.empty()) {
    if (random->OneIn(2)) return RandomMessage(random);
    insert(OddField(random));
    return Join(fields);
  }
  const size_t chosen = random->Below(fields.size());
  Field& field = fields[chosen];
  if (!field.length.empty() && depth < kMaxDepth && !random->OneIn(4)) {
    field.content = Mutate(field.content, random, depth + 1);
    field.length = Varint(field.content.size());
    return Join(fields);
  }
  switch (random->Below(9)) {
    case 0:
      fields.erase(fields.begin() + static_cast<std::ptrdiff_t>(chosen));
      break;
    case 1:
      insert(Field(field));
      break;
    case 2:
      std::swap(field, fields[random->Below(fields.size())]);
      break;
    case 3:
      insert(OddField(random));
      break;
    case 4:
      if (field.tag.empty()) break;
      field.tag = AnyTag(random, static_cast<uint8_t>(field.tag[0]) & 7U);
      break;
    case 5: {
      // Zeros in front of a number, or bits that are too many.
      std::string* const numbers[] = {&field.tag, &field.length,
                                      &field.content};
      std::string* const varint = random->Of(numbers);
      std::string_view rest = *varint;
      std::string same;
      uint64_t number = 0;
      if (!TakeVarint(&rest, &same, &number) || !rest.empty()) break;
      *varint = Varint(number, 1 + random->Below(wire::kMaxVarintSize));
      if (random->OneIn(4)) varint->back() = '\2';
      break;
    }
    case 6:
      if (field.length.empty()) break;
      field.content = RandomMessage(random);
      field.length = Varint(field.content.size());
      break;
    case 7: {
      // A last field that is not complete.
      std::string bytes = Join(fields);
      bytes.pop_back();
      return bytes;
    }
    default:
      field.content = MutateBytes(field.content, 16);
      if (!field.length.empty()) field.length = Varint(field.content.size());
      break;
  }
  return Join(fields);
}

}  // namespace

std::string MutateInput(const std::string& input, size_t max_size,
                        uint32_t seed) {
  Random random(seed);
  std::string mutated = input;
  mutated.resize(std::max(input.size(), wire::kSeedSize));
  const size_t kind = random.Below(100);
  std::string message = mutated.substr(wire::kSeedSize);
  mutated.resize(wire::kSeedSize);
  if (random.OneIn(8)) {
    for (char& byte : mutated) byte = static_cast<char>(random.Below(256));
  }
  if (message.empty() || kind < 2) {
    message = RandomMessage(&random);
  } else if (kind < 10) {
    message = MutateBytes(message, 16);
  } else {
    for (size_t i = random.Below(4) + 1; i > 0; --i) {
      message = Mutate(message, &random, 0);
    }
  }
  mutated += message;
  if (mutated.size() > max_size) mutated.resize(max_size);
  return mutated;
}

}  // namespace lossd::fuzz
