// What goes over the arena socket: how a caller on the same machine gets memory
// that it shares with lossd. Nothing but the standard library, so that both
// ends can use it; ARCHITECTURE.md holds the reasons.
//
// The socket is a Unix socket of type SOCK_SEQPACKET: a packet is a message.
// All numbers are little-endian, reserved bytes are 0. The client sends
// requests of 48 bytes, the server answers each, in order, with a reply of 256
// bytes; the first of them may be sent as soon as the connection stands.
//
// Request                            Reply
//    0  4  magic, "LSDA"                0  4  magic, "LSDA"
//    4  2  version, 1                   4  2  version, 1
//    6  2  kind: 1 create, 2 free       6  2  kind of the request
//    8  8  tag, any number              8  8  tag of the request
//   16  8  create: bytes wanted,       16  4  code, of google.rpc.Code; 0: done
//          1 to 2^50; free: 0          20  4  length of the text
//   24 16  create: 0; free: the id     24  8  create: bytes granted, as wanted
//   40  8  reserved                    32 16  create: the arena's id
//                                      48 208 text, UTF-8, why it was refused
//
// The reply to a create that is done carries one descriptor (SCM_RIGHTS): a
// memory file of the granted size, sealed against any change of size, to be
// mapped readable and writable and shared. The arena lives until it is freed or
// the connection ends, and its memory until the last call that uses it ends.
//
// A request that is malformed (of another length, magic, version or kind, with
// reserved bytes set, or with descriptors) ends the connection, after a reply
// with kind 0 and tag 0 that says why. A request that is refused does not.

#ifndef LOSSD_PROTO_ARENA_PROTOCOL_H_
#define LOSSD_PROTO_ARENA_PROTOCOL_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace lossd::arena {

inline constexpr size_t kRequestBytes = 48;
inline constexpr size_t kReplyBytes = 256;
inline constexpr size_t kIdBytes = 16;
inline constexpr size_t kMaxTextBytes = 208;
inline constexpr uint64_t kMaxArenaBytes = uint64_t{1} << 50;

using Id = std::array<std::byte, kIdBytes>;

enum class Kind : uint16_t {
  // Only in the reply to a request that is malformed.
  kNone = 0,
  kCreate = 1,
  kFree = 2,
};

struct Request {
  Kind kind = Kind::kCreate;
  uint64_t tag = 0;
  // Of kCreate.
  uint64_t bytes = 0;
  // Of kFree.
  Id id = {};
};

struct Reply {
  Kind kind = Kind::kNone;
  uint64_t tag = 0;
  // A google.rpc.Code; 0 is success.
  uint32_t code = 0;
  uint64_t bytes = 0;
  Id id = {};
  // Cut at kMaxTextBytes when it is encoded, between two characters.
  std::string text;
};

std::array<std::byte, kRequestBytes> Encode(const Request& request);
std::array<std::byte, kReplyBytes> Encode(const Reply& reply);

// Nothing for a malformed request; then `why` says what is wrong, what was
// given and what is allowed.
std::optional<Request> DecodeRequest(std::span<const std::byte> packet,
                                     std::string* why);
// Nothing for a malformed reply.
std::optional<Reply> DecodeReply(std::span<const std::byte> packet,
                                 std::string* why);

}  // namespace lossd::arena

#endif  // LOSSD_PROTO_ARENA_PROTOCOL_H_
