// What a client tells of a call's size before its request is there.

#ifndef LOSSD_PROTO_WIRE_ANNOUNCED_BYTES_H_
#define LOSSD_PROTO_WIRE_ANNOUNCED_BYTES_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace lossd::wire {

// Metadata of Compute: "REQUEST,REPLY", two decimal numbers of bytes.
inline constexpr char kAnnouncedBytesHeader[] = "lossd-bytes";

// What a result takes in a reply besides its tensors, generously: its numbers,
// diagnostics, warnings and loss, or the text that refuses it.
inline constexpr int64_t kAnnouncedResultBytes = 4096;

// Neither is negative.
struct AnnouncedBytes {
  // Of the request's message.
  int64_t request = 0;
  // An upper bound for the reply's message. An estimate: the texts in a reply
  // have no limit that a client would know.
  int64_t reply = 0;
};

std::string FormatAnnouncedBytes(const AnnouncedBytes& bytes);

// False, and `bytes` is as before, for everything but what
// FormatAnnouncedBytes makes of some bytes; leading zeros are let pass.
bool ParseAnnouncedBytes(std::string_view text, AnnouncedBytes* bytes);

}  // namespace lossd::wire

#endif  // LOSSD_PROTO_WIRE_ANNOUNCED_BYTES_H_
