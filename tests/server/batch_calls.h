// Requests through a Batch, without a socket.

#ifndef LOSSD_TESTS_SERVER_BATCH_CALLS_H_
#define LOSSD_TESTS_SERVER_BATCH_CALLS_H_

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <cstring>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/batch.h"

namespace lossd::test {

inline constexpr char kMse[] = "loss { mean_squared_error {} }";

// Whatever is asked for.
extern const BatchMemory kEnoughMemory;

template <class Message>
Message Parse(const std::string& text) {
  Message message;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &message))
      << text;
  return message;
}

// The reply to a request that comes in pieces of seven bytes.
absl::StatusOr<v1::ComputeResponse> Compute(
    const v1::ComputeRequest& request, const BatchLimits& limits,
    Metrics& metrics, const BatchMemory& memory = kEnoughMemory,
    const ArenaRegistry* arenas = nullptr);

template <class T>
std::string BytesOf(const std::vector<T>& numbers) {
  std::string bytes(numbers.size() * sizeof(T), '\0');
  std::memcpy(bytes.data(), numbers.data(), bytes.size());
  return bytes;
}

// Refused, alone, with this code, the field named in violation and text, and
// nothing else set but the loss, which is NaN.
void ExpectRefused(const v1::LossResult& result, absl::StatusCode code,
                   const std::string& field);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SERVER_BATCH_CALLS_H_
