#include "tests/proto/arena/round_trip.h"

#include <algorithm>

#include "proto/arena/protocol.h"

namespace lossd::arena {
namespace {

template <class Decode>
std::string Check(const char* name, const Decode& decode,
                  std::span<const std::byte> packet) {
  // What decoding must not leave there.
  std::string why = "unset";
  const auto message = decode(packet, &why);
  if (!message.has_value()) {
    return why.empty() || why == "unset" || why.size() > kMaxTextBytes
               ? std::string(name) + " is refused because of '" + why + "'"
               : "";
  }
  if (!why.empty()) return std::string(name) + " is accepted, but " + why;
  return std::ranges::equal(Encode(*message), packet)
             ? ""
             : std::string(name) + " is written otherwise";
}

}  // namespace

std::string RoundTripDifference(std::span<const std::byte> packet) {
  return Check("a request", DecodeRequest, packet) +
         Check("a reply", DecodeReply, packet);
}

}  // namespace lossd::arena
