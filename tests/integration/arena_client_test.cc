// Arenas of the client, through a running server.

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "server/logging.h"
#include "tests/integration/messages.h"
#include "tests/integration/running_server.h"
#include "tests/support/loss_cases.h"
#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace lossd::test {
namespace {

using ::testing::HasSubstr;

// Of messages: less than the tensors of any problem here.
constexpr int64_t kSmallMessage = 8192;
constexpr size_t kArenaBytes = size_t{4} << 20;

// A call with copies of its arrays in an arena, those whose bit is set in
// `which`, in the order of the fields.
class MovedCall {
 public:
  MovedCall(const LossCall& call, ClientArena* arena, uint32_t which)
      : original_(call), arena_(*arena), which_(which), moved_(call) {
    for (auto* input :
         {&moved_.predictions, &moved_.targets, &moved_.sample_weights,
          &moved_.mask, &moved_.upstream_gradient}) {
      if (*input) Move(&**input);
    }
    for (auto& [name, input] : moved_.extra_inputs) Move(&input);
    Move(&moved_.gradient);
    for (auto& [name, output] : moved_.extra_gradients) Move(&output);
    const MutableArrayView rows = MutableViewOf(moved_.row_losses);
    MutableArrayView moved_rows = rows;
    Move(&moved_rows);
    moved_.row_losses = {static_cast<double*>(moved_rows.data),
                         moved_.row_losses.size()};
  }

  LossCall& call() { return moved_; }

  // To where the original wants them.
  void CopyResults() const {
    Copy(moved_.gradient, original_.gradient);
    for (const auto& [name, output] : moved_.extra_gradients) {
      Copy(output, original_.extra_gradients.at(name));
    }
    Copy(MutableViewOf(moved_.row_losses), MutableViewOf(original_.row_losses));
  }

 private:
  // Memory for so many bytes; null if they are to stay where they are.
  void* Place(size_t bytes) {
    const bool moves = (which_ & 1) != 0;
    which_ = which_ >> 1 | which_ << 31;
    if (!moves || bytes == 0) return nullptr;
    const auto place = arena_.Allocate<uint8_t>(bytes);
    EXPECT_THAT(place, IsOk());
    return place.ok() ? place->data() : nullptr;
  }

  void Move(ArrayView* array) {
    void* const place = Place(array->bytes);
    if (place == nullptr) return;
    std::memcpy(place, array->data, array->bytes);
    array->data = place;
  }

  void Move(MutableArrayView* array) {
    if (void* const place = Place(array->bytes)) array->data = place;
  }

  static void Copy(const MutableArrayView& from, const MutableArrayView& to) {
    if (from.data != to.data) std::memcpy(to.data, from.data, from.bytes);
  }

  const LossCall& original_;
  ClientArena& arena_;
  uint32_t which_;
  LossCall moved_;
};

// Computes with arrays in `arena`.
ClientCall Through(ClientArena* arena, uint32_t which = ~0U,
                   bool in_place = false,
                   const ClientCall& compute = &Client::Compute) {
  return [=](const Client& client, const LossCall& call,
             const CallOptions& options) {
    arena->Clear();
    MovedCall moved(call, arena, which);
    if (in_place) {
      moved.call().gradient.data =
          const_cast<void*>(moved.call().predictions->data);
    }
    auto result = compute(client, moved.call(), options);
    if (result.ok()) moved.CopyResults();
    return result;
  };
}

std::string ArenaAddress(const TempDir& folder) {
  return absl::StrCat("unix:", folder / "arenas");
}

class ArenaClientTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempDir;
    server_ = new RunningServer(
        {.arena_listen = ArenaAddress(*folder_), .threads = 2});
  }
  static void TearDownTestSuite() {
    delete server_;
    delete folder_;
  }

  static Client Connect(const std::string& target,
                        const ClientOptions& options = {}) {
    auto client = Client::Connect(target, options);
    EXPECT_THAT(client, IsOk());
    return *client;
  }

  static ClientArena Create(const Client& client,
                            const ArenaOptions& options = {}) {
    auto arena = client.CreateArena(kArenaBytes, options);
    EXPECT_THAT(arena, IsOk());
    return *arena;
  }

  static inline const TempDir* folder_;
  static inline const RunningServer* server_;
};

Problem Small(const LossCase& loss_case) {
  Problem problem = Sample(loss_case, {61, 5}, Dtype::kFloat32);
  AddWeights(problem, 1);
  AddMask(problem, 2);
  return problem;
}

// Neither requests nor replies would fit into the messages of this client.
TEST_F(ArenaClientTest, EveryLossHasTheBitsOfOrdinaryArrays) {
  const Client inline_client = server_->Connect();
  const Client client =
      Connect(server_->unix_target(), {.max_message_bytes = kSmallMessage});
  ClientArena arena = Create(client);
  for (const LossCase& loss_case : LossCases()) {
    SCOPED_TRACE(loss_case.name);
    for (const Problem& problem :
         Variants(Sample(loss_case, {613, 9}, Dtype::kFloat32))) {
      const Form form{.dtype = Dtype::kFloat32, .diagnostics = true};
      const auto expected = Send(inline_client, problem, form);
      EXPECT_TRUE(
          SameOutcomes(Send(client, problem, form, Through(&arena)), expected));
    }
  }
}

TEST_F(ArenaClientTest, EveryDtype) {
  const Client client = Connect(server_->tcp_target());
  ClientArena arena = Create(client);
  for (const LossCase& loss_case : LossCases()) {
    SCOPED_TRACE(loss_case.name);
    const Problem problem = Small(loss_case);
    for (const Dtype dtype :
         {Dtype::kFloat16, Dtype::kBfloat16, Dtype::kFloat64}) {
      const Form form{.dtype = dtype, .gradient_dtype = dtype};
      EXPECT_TRUE(SameOutcomes(Send(client, problem, form, Through(&arena)),
                               Send(client, problem, form)));
    }
  }
}

TEST_F(ArenaClientTest, SomeArraysInTheArenaAndSomeNot) {
  const Client client = server_->Connect();
  ClientArena arena = Create(client);
  for (const LossCase& loss_case : LossCases()) {
    SCOPED_TRACE(loss_case.name);
    const Problem problem = Small(loss_case);
    const auto expected = Send(client, problem);
    for (const uint32_t which : {0x55555555U, 0xAAAAAAAAU, 0x66666666U, 1U}) {
      EXPECT_TRUE(SameOutcomes(
          Send(client, problem, {}, Through(&arena, which)), expected));
    }
  }
}

TEST_F(ArenaClientTest, TheGradientTakesThePlaceOfThePredictions) {
  const Client client = server_->Connect();
  ClientArena arena = Create(client);
  for (const LossCase& loss_case : LossCases()) {
    SCOPED_TRACE(loss_case.name);
    const Problem problem = Small(loss_case);
    const auto expected = Send(client, problem);
    EXPECT_TRUE(SameOutcomes(
        Send(client, problem, {}, Through(&arena, ~0U, true)), expected));
  }
}

TEST_F(ArenaClientTest, ChunksComeFromArenasAndGoThere) {
  const Client client = server_->Connect();
  ClientArena arena = Create(client);
  Problem problem = Sample(LossCases()[0], {40000, 3}, Dtype::kFloat32);
  AddWeights(problem, 1);
  const Form form{.dtype = Dtype::kFloat32};
  EXPECT_TRUE(
      SameAnswers(Send(client, problem, form,
                       Through(&arena, ~0U, false, &Client::ComputeChunked)),
                  Send(client, problem, form)));
}

TEST_F(ArenaClientTest, ABatchOfBothKinds) {
  const Client client = server_->Connect();
  ClientArena arena = Create(client);
  std::vector<float> predictions(600);
  std::vector<float> targets(600);
  for (size_t i = 0; i < predictions.size(); ++i) {
    predictions[i] = 0.01F * static_cast<float>(i);
    targets[i] = predictions[i] * predictions[i];
  }
  std::vector<float> gradient(600);
  std::vector<double> row_losses(200);
  LossCall ordinary;
  ordinary.loss.mutable_huber()->set_delta(0.5);
  ordinary.predictions = ViewOf(predictions, {200, 3});
  ordinary.targets = ViewOf(targets, {200, 3});
  ordinary.gradient = MutableViewOf(gradient);
  ordinary.row_losses = row_losses;
  MovedCall first(ordinary, &arena, ~0U);
  MovedCall refused(ordinary, &arena, ~0U);
  MovedCall last(ordinary, &arena, 0xAAAAAAAAU);
  refused.call().loss.mutable_huber()->set_delta(-1);
  const std::vector<LossCall> calls = {first.call(), ordinary, refused.call(),
                                       last.call()};
  const auto results = client.ComputeBatch(calls);
  ASSERT_THAT(results, IsOk());
  EXPECT_THAT((*results)[2], StatusIs(absl::StatusCode::kInvalidArgument,
                                      HasSubstr("loss.huber.delta")));
  for (const size_t i : {0U, 1U, 3U}) {
    ASSERT_THAT((*results)[i], IsOk());
    EXPECT_EQ((*results)[i]->loss, (*results)[1]->loss);
    EXPECT_EQ(std::memcmp(calls[i].gradient.data, gradient.data(),
                          calls[i].gradient.bytes),
              0);
    EXPECT_EQ(std::memcmp(calls[i].row_losses.data(), row_losses.data(),
                          calls[i].row_losses.size_bytes()),
              0);
  }
}

// A call of 100 predictions in an arena.
LossCall CallIn(ClientArena* arena) {
  const std::span<float> values = *arena->Allocate<float>(100);
  LossCall call;
  call.loss.mutable_mean_squared_error();
  call.predictions = ViewOf(values);
  call.targets = ViewOf(values);
  return call;
}

TEST_F(ArenaClientTest, AFreedArenaIsRefusedAndLeavesItsNeighboursAlone) {
  const Client client = server_->Connect();
  ClientArena arena = Create(client);
  ClientArena freed = Create(client);
  const LossCall call = CallIn(&freed);
  ASSERT_THAT(client.Compute(call), IsOk());
  ASSERT_THAT(freed.Free(), IsOk());
  EXPECT_THAT(client.Compute(call),
              StatusIs(absl::StatusCode::kFailedPrecondition,
                       HasSubstr("predictions")));
  EXPECT_THAT(client.Compute(CallIn(&arena)), IsOk());
  // The predictions can still be read, and be sent.
  EXPECT_THAT(client.ComputeChunked(call), IsOk());
}

TEST_F(ArenaClientTest, TheServerHasAnArenaAsLongAsTheClient) {
  const auto arenas = [](int count) {
    return HasSubstr(absl::StrCat("\nlossd_arenas ", count, "\n"));
  };
  const Client client = server_->Connect();
  std::optional<ClientArena> arena = Create(client);
  ClientArena freed = Create(client);
  EXPECT_THAT(server_->Get("/metrics"), arenas(2));
  ASSERT_THAT(freed.Free(), IsOk());
  EXPECT_THAT(server_->Get("/metrics"), arenas(1));
  arena.reset();
  EXPECT_THAT(server_->Get("/metrics"), arenas(0));
}

TEST_F(ArenaClientTest, WhatTheServerRefusesNamesItsLimit) {
  const Client client = server_->Connect();
  EXPECT_THAT(client.CreateArena(size_t{1} << 50, {.fall_back = true}),
              StatusIs(absl::StatusCode::kResourceExhausted,
                       HasSubstr(absl::StrCat(size_t{1} << 50))));
}

TEST_F(ArenaClientTest, TheSocketMayBeElsewhere) {
  const std::string path = *folder_ / "arenas";
  const std::string elsewhere = *folder_ / "elsewhere";
  std::filesystem::rename(path, elsewhere);
  const Client client = server_->Connect();
  EXPECT_THAT(client.CreateArena(kArenaBytes),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr(path)));
  ClientArena arena = Create(client, {.address = "unix:" + elsewhere});
  EXPECT_TRUE(arena.shared());
  EXPECT_THAT(client.Compute(CallIn(&arena)), IsOk());
  std::filesystem::rename(elsewhere, path);
}

TEST_F(ArenaClientTest, AServerWithoutArenas) {
  const RunningServer server;
  const Client client = server.Connect();
  EXPECT_THAT(client.CreateArena(kArenaBytes),
              StatusIs(absl::StatusCode::kUnimplemented,
                       HasSubstr(server.unix_target())));
  ClientArena arena = Create(client, {.fall_back = true});
  EXPECT_FALSE(arena.shared());
  const Problem problem = Small(LossCases()[0]);
  EXPECT_TRUE(SameAnswers(Send(client, problem, {}, Through(&arena, ~0U, true)),
                          Send(client, problem)));
}

// At addresses of its own choice, as none of RunningServer's can be had twice.
std::unique_ptr<Server> StartIn(const TempDir& folder) {
  SetLogLevel("error");
  ServerOptions options;
  options.listen = {absl::StrCat("unix:", folder / "socket")};
  options.arena_listen = ArenaAddress(folder);
  options.metrics_listen = "";
  options.threads = 2;
  auto server = Server::Start(options);
  EXPECT_THAT(server, IsOk());
  return server.ok() ? *std::move(server) : nullptr;
}

TEST_F(ArenaClientTest, ARestartedServerKnowsNoArenaUntilANewOne) {
  const TempDir folder;
  std::unique_ptr<Server> server = StartIn(folder);
  const Client client = Connect(absl::StrCat("unix:", folder / "socket"));
  ClientArena arena = Create(client);
  const LossCall call = CallIn(&arena);
  ASSERT_THAT(client.Compute(call), IsOk());
  server.reset();
  server = StartIn(folder);
  while (!client.CheckHealth().ok()) std::this_thread::yield();
  EXPECT_THAT(
      client.Compute(call),
      StatusIs(absl::StatusCode::kNotFound, HasSubstr("predictions.arena.id")));
  ClientArena next = Create(client);
  EXPECT_THAT(client.Compute(CallIn(&next)), IsOk());
  EXPECT_THAT(arena.Free(),
              StatusIs(absl::StatusCode::kUnavailable, HasSubstr("arenas")));
}

}  // namespace
}  // namespace lossd::test
