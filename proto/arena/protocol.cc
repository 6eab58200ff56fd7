#include "proto/arena/protocol.h"

#include <algorithm>
#include <concepts>

namespace lossd::arena {
namespace {

constexpr std::string_view kMagic = "LSDA";
constexpr uint16_t kVersion = 1;
// UNAUTHENTICATED, the last one of google.rpc.Code.
constexpr uint32_t kMaxCode = 16;

// Where the fields lie.
constexpr size_t kVersionAt = 4;
constexpr size_t kKindAt = 6;
constexpr size_t kTagAt = 8;
constexpr size_t kRequestBytesAt = 16;
constexpr size_t kRequestIdAt = 24;
constexpr size_t kReservedAt = 40;
constexpr size_t kCodeAt = 16;
constexpr size_t kTextLengthAt = 20;
constexpr size_t kReplyBytesAt = 24;
constexpr size_t kReplyIdAt = 32;
constexpr size_t kTextAt = 48;
static_assert(kTextAt + kMaxTextBytes == kReplyBytes);

template <std::unsigned_integral T>
void Put(T value, size_t at, std::span<std::byte> packet) {
  for (size_t i = 0; i < sizeof(T); ++i) {
    packet[at + i] = static_cast<std::byte>(value >> (8 * i));
  }
}

template <std::unsigned_integral T>
T Get(std::span<const std::byte> packet, size_t at) {
  uint64_t value = 0;
  for (size_t i = 0; i < sizeof(T); ++i) {
    value |= std::to_integer<uint64_t>(packet[at + i]) << (8 * i);
  }
  return static_cast<T>(value);
}

Id GetId(std::span<const std::byte> packet, size_t at) {
  Id id;
  std::copy_n(packet.begin() + static_cast<ptrdiff_t>(at), kIdBytes,
              id.begin());
  return id;
}

void PutHead(Kind kind, uint64_t tag, std::span<std::byte> packet) {
  std::transform(kMagic.begin(), kMagic.end(), packet.begin(),
                 [](char c) { return static_cast<std::byte>(c); });
  Put(kVersion, kVersionAt, packet);
  Put(static_cast<uint16_t>(kind), kKindAt, packet);
  Put(tag, kTagAt, packet);
}

std::string Hex(std::span<const std::byte> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string text;
  for (const std::byte byte : bytes) {
    text += kDigits[std::to_integer<size_t>(byte >> 4)];
    text += kDigits[std::to_integer<size_t>(byte & std::byte{15})];
  }
  return text;
}

std::string Wrong(const std::string& what, const std::string& given,
                  const std::string& allowed) {
  return what + " is " + given + ", allowed is " + allowed;
}

// What is wrong with the part that requests and replies have in common, with
// kinds from `least_kind`; nothing if it is right.
std::string WrongHead(std::span<const std::byte> packet, size_t length,
                      Kind least_kind) {
  if (packet.size() != length) {
    return Wrong("length of the packet", std::to_string(packet.size()),
                 std::to_string(length));
  }
  const bool magic =
      std::equal(kMagic.begin(), kMagic.end(), packet.begin(),
                 [](char c, std::byte b) { return std::byte(c) == b; });
  if (!magic) {
    return Wrong("magic", "0x" + Hex(packet.first(kMagic.size())),
                 "0x4c534441 (LSDA)");
  }
  const auto version = Get<uint16_t>(packet, kVersionAt);
  if (version != kVersion) {
    return Wrong("version", std::to_string(version), std::to_string(kVersion));
  }
  const auto kind = Get<uint16_t>(packet, kKindAt);
  if (kind < static_cast<uint16_t>(least_kind) ||
      kind > static_cast<uint16_t>(Kind::kFree)) {
    return Wrong("kind", std::to_string(kind),
                 std::to_string(static_cast<uint16_t>(least_kind)) + " to 2");
  }
  return "";
}

// Shows one byte: all of them might be an id that lies where none belongs.
std::string WrongZeros(std::span<const std::byte> packet, size_t at,
                       size_t length, const std::string& of) {
  for (size_t i = at; i < at + length; ++i) {
    if (packet[i] == std::byte{0}) continue;
    return Wrong("byte " + std::to_string(i) + " of " + of,
                 "0x" + Hex(packet.subspan(i, 1)), "0");
  }
  return "";
}

// At most kMaxTextBytes of `text`, which is UTF-8: what lies behind the cut
// must not go on with the character before it.
std::string_view CutText(std::string_view text) {
  if (text.size() <= kMaxTextBytes) return text;
  size_t length = kMaxTextBytes;
  while (length > 0 &&
         (static_cast<unsigned char>(text[length]) & 0xc0) == 0x80) {
    --length;
  }
  return text.substr(0, length);
}

}  // namespace

std::array<std::byte, kRequestBytes> Encode(const Request& request) {
  std::array<std::byte, kRequestBytes> packet = {};
  PutHead(request.kind, request.tag, packet);
  if (request.kind == Kind::kCreate) {
    Put(request.bytes, kRequestBytesAt, packet);
  } else {
    std::copy(request.id.begin(), request.id.end(),
              packet.begin() + kRequestIdAt);
  }
  return packet;
}

std::array<std::byte, kReplyBytes> Encode(const Reply& reply) {
  std::array<std::byte, kReplyBytes> packet = {};
  PutHead(reply.kind, reply.tag, packet);
  const std::string_view text = CutText(reply.text);
  Put(reply.code, kCodeAt, packet);
  Put(static_cast<uint32_t>(text.size()), kTextLengthAt, packet);
  Put(reply.bytes, kReplyBytesAt, packet);
  std::copy(reply.id.begin(), reply.id.end(), packet.begin() + kReplyIdAt);
  std::transform(text.begin(), text.end(), packet.begin() + kTextAt,
                 [](char c) { return static_cast<std::byte>(c); });
  return packet;
}

std::optional<Request> DecodeRequest(std::span<const std::byte> packet,
                                     std::string* why) {
  *why = WrongHead(packet, kRequestBytes, Kind::kCreate);
  if (!why->empty()) return std::nullopt;
  Request request;
  request.kind = static_cast<Kind>(Get<uint16_t>(packet, kKindAt));
  request.tag = Get<uint64_t>(packet, kTagAt);
  if (request.kind == Kind::kCreate) {
    request.bytes = Get<uint64_t>(packet, kRequestBytesAt);
    *why = WrongZeros(packet, kRequestIdAt, kIdBytes, "a create");
  } else {
    request.id = GetId(packet, kRequestIdAt);
    *why = WrongZeros(packet, kRequestBytesAt, sizeof(uint64_t), "a free");
  }
  if (why->empty()) {
    *why = WrongZeros(packet, kReservedAt, kRequestBytes - kReservedAt,
                      "a request");
  }
  return why->empty() ? std::optional(request) : std::nullopt;
}

std::optional<Reply> DecodeReply(std::span<const std::byte> packet,
                                 std::string* why) {
  *why = WrongHead(packet, kReplyBytes, Kind::kNone);
  if (!why->empty()) return std::nullopt;
  Reply reply;
  reply.kind = static_cast<Kind>(Get<uint16_t>(packet, kKindAt));
  reply.tag = Get<uint64_t>(packet, kTagAt);
  reply.code = Get<uint32_t>(packet, kCodeAt);
  reply.bytes = Get<uint64_t>(packet, kReplyBytesAt);
  reply.id = GetId(packet, kReplyIdAt);
  const auto text_length = Get<uint32_t>(packet, kTextLengthAt);
  if (reply.code > kMaxCode) {
    *why = Wrong("code", std::to_string(reply.code), "0 to 16");
  } else if (text_length > kMaxTextBytes) {
    *why = Wrong("length of the text", std::to_string(text_length),
                 "0 to " + std::to_string(kMaxTextBytes));
  } else if (const size_t end = kTextAt + text_length; end < kReplyBytes) {
    *why = WrongZeros(packet, end, kReplyBytes - end, "a reply");
  }
  if (!why->empty()) return std::nullopt;
  for (const std::byte byte : packet.subspan(kTextAt, text_length)) {
    reply.text += static_cast<char>(byte);
  }
  return reply;
}

}  // namespace lossd::arena
