#ifndef LOSSD_TESTS_PROTO_ARENA_ROUND_TRIP_H_
#define LOSSD_TESTS_PROTO_ARENA_ROUND_TRIP_H_

#include <cstddef>
#include <span>
#include <string>

namespace lossd::arena {

// Reads `packet` as a request and as a reply. What is accepted must be written
// as the same bytes again, what is not must have a reason that fits into a
// reply. Says what went wrong; empty if nothing did.
std::string RoundTripDifference(std::span<const std::byte> packet);

}  // namespace lossd::arena

#endif  // LOSSD_TESTS_PROTO_ARENA_ROUND_TRIP_H_
