#include "tests/server/batch_calls.h"

#include <gmock/gmock.h>

#include <cmath>
#include <cstdint>

#include "tests/proto/wire/differential.h"

namespace lossd::test {

using ::testing::HasSubstr;

const BatchMemory kEnoughMemory = {
    .for_messages = [](int64_t) { return absl::OkStatus(); },
    .for_reply = [](int64_t) { return absl::OkStatus(); }};

absl::StatusOr<v1::ComputeResponse> Compute(const v1::ComputeRequest& request,
                                            const BatchLimits& limits,
                                            Metrics& metrics,
                                            const BatchMemory& memory,
                                            const ArenaRegistry* arenas) {
  BufferPool pool(0);
  Batch batch(wire::Cut(request.SerializeAsString(), 7), limits, metrics, pool,
              arenas, memory, nullptr);
  do {
    // Backwards: any order is right.
    for (size_t i = batch.units(); i > 0; --i) batch.RunUnit(i - 1);
  } while (batch.NextStep());
  const absl::StatusOr<grpc::ByteBuffer> reply = batch.Reply();
  if (!reply.ok()) return reply.status();
  v1::ComputeResponse response;
  EXPECT_TRUE(response.ParseFromString(wire::Join(*reply)));
  return response;
}

void ExpectRefused(const v1::LossResult& result, absl::StatusCode code,
                   const std::string& field) {
  EXPECT_EQ(result.status().code(), static_cast<int>(code))
      << result.DebugString();
  EXPECT_THAT(result.status().message(), HasSubstr(field));
  ASSERT_EQ(result.status().violations_size(), 1) << result.DebugString();
  EXPECT_EQ(result.status().violations(0).field(), field);
  EXPECT_FALSE(result.status().violations(0).got().empty());
  EXPECT_FALSE(result.status().violations(0).allowed().empty());
  EXPECT_TRUE(std::isnan(result.loss()));
  v1::LossResult rest = result;
  rest.clear_status();
  rest.clear_loss();
  EXPECT_EQ(rest.ByteSizeLong(), 0) << rest.DebugString();
}

}  // namespace lossd::test
