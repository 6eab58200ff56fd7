// A server with arenas, a client that behaves, and what neighbours may not
// change.

#ifndef LOSSD_TESTS_INTEGRATION_ARENA_NEIGHBOURS_H_
#define LOSSD_TESTS_INTEGRATION_ARENA_NEIGHBOURS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gtest/gtest.h"
#include "lossd/v1/loss_service.pb.h"
#include "proto/arena/descriptor.h"
#include "tests/integration/running_server.h"
#include "tests/server/arena/arena_client.h"
#include "tests/support/temp_dir.h"

namespace lossd::test {

// An arena and its memory, as its client has them.
class OwnArena {
 public:
  // Fails the test if it is refused.
  OwnArena(const ArenaClient& client, uint64_t bytes)
      : answer_(client.Create(bytes)), mapping_(answer_.file.number()) {
    EXPECT_EQ(answer_.reply.code, 0U) << answer_.reply.text;
  }

  const arena::Id& id() const { return answer_.reply.id; }
  int file() const { return answer_.file.number(); }
  std::span<std::byte> memory() const { return mapping_.bytes(); }

  v1::ArenaRef Ref(uint64_t offset, uint64_t length) const;
  // Puts the tensor's data there.
  void Move(uint64_t offset, v1::Tensor* tensor) const;
  // Puts all tensors of the item there, one behind the other; returns the end.
  uint64_t MoveAll(uint64_t offset, v1::LossItem* item) const;
  std::string Read(const v1::ArenaRef& ref) const;

 private:
  const ArenaClient::Answer answer_;
  const Mapping mapping_;
};

// Of the mean squared error and its gradient, [rows, 2].
v1::LossItem MseItem(int64_t rows);

// A stream that has begun, and waits for more: until then it holds the arenas
// of its item.
class HeldStream {
 public:
  // Sends the first half of the targets, which are floats in no arena.
  HeldStream(v1::LossService::StubInterface& stub, v1::LossItem item);
  ~HeldStream();
  HeldStream(const HeldStream&) = delete;
  HeldStream& operator=(const HeldStream&) = delete;

  // Sends the rest. Nothing if the call failed.
  std::optional<v1::LossResult> Finish();
  const grpc::Status& status() const { return status_; }

 private:
  void Send(size_t begin, size_t end);

  grpc::ClientContext context_;
  const std::string targets_;
  grpc::Status status_;
  const std::unique_ptr<grpc::ClientReaderWriterInterface<
      v1::ComputeStreamRequest, v1::ComputeStreamResponse>>
      stream_;
};

class ArenaNeighboursTest : public testing::Test {
 protected:
  static constexpr int64_t kBudget = int64_t{128} << 20;
  static constexpr uint64_t kOwnBytes = uint64_t{1} << 20;

  ArenaNeighboursTest();
  // Whatever a neighbour did who has gone by now: the server is up, results of
  // others are what they were, and nothing is left behind.
  void TearDown() override;

  std::string path() const { return folder_ / "arenas"; }
  // The same results as before, sent or in the arena.
  void ExpectUnharmed() const;
  // The figure on the page of the metrics.
  double Figure(const std::string& name) const;
  void Await(const std::string& name, double figure) const;

 private:
  // What is in use.
  struct Levels {
    size_t descriptors = 0;
    double arenas = 0;
    double arena_bytes = 0;
    double connections = 0;
    double reserved = 0;
  };
  Levels Now() const;

  const TempDir folder_;

 protected:
  const RunningServer server_;
  // The one that behaves.
  const ArenaClient good_client_;
  const OwnArena good_arena_;

 private:
  const v1::LossItem sent_;
  const std::string expected_;
  Levels before_;
};

}  // namespace lossd::test

#endif  // LOSSD_TESTS_INTEGRATION_ARENA_NEIGHBOURS_H_
