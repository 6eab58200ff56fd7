// The codec without copies against the generated classes.

#ifndef LOSSD_TESTS_PROTO_WIRE_DIFFERENTIAL_H_
#define LOSSD_TESTS_PROTO_WIRE_DIFFERENTIAL_H_

#include <google/protobuf/message.h>
#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

namespace lossd::wire {

// `bytes` in slices whose sizes follow from `seed`: now and then empty, of a
// few bytes, or long.
grpc::ByteBuffer Cut(std::string_view bytes, uint32_t seed);

// All bytes of a buffer.
std::string Join(const grpc::ByteBuffer& buffer);

// Replaces every field with the bytes of a tensor by what `replace` makes of
// it.
void ReplaceTensorBytes(
    google::protobuf::Message* message,
    const std::function<std::string(const std::string&)>& replace);

// Reads `bytes` in both ways as each message that carries tensors, writes what
// was accepted, and says what differs; empty if nothing does.
std::string Difference(std::string_view bytes, uint32_t seed);

// Bytes of a fuzzer's input before the message.
inline constexpr size_t kSeedSize = 2;

// Of an input of tests/fuzz: the seed, then the message.
std::string DifferenceOfInput(std::string_view input);

}  // namespace lossd::wire

#endif  // LOSSD_TESTS_PROTO_WIRE_DIFFERENTIAL_H_
