// Calls with memory in arenas: what is sent, and what is made of the reply.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "client/client.h"
#include "proto/wire/announced_bytes.h"
#include "tests/client/arena/fake_arena_server.h"
#include "tests/client/fake_server.h"
#include "tests/support/temp_dir.h"

namespace lossd {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

class ArenaCallsTest : public ::testing::Test {
 protected:
  ArenaCallsTest() { server_.info.set_arena_address(arenas_.address()); }

  Client Connected() {
    auto client = Client::Connect(server_.target());
    EXPECT_TRUE(client.ok()) << client.status();
    return *client;
  }

  ClientArena Create(const Client& client, const ArenaOptions& options = {}) {
    auto arena = client.CreateArena(4096, options);
    EXPECT_TRUE(arena.ok()) << arena.status();
    return *arena;
  }

  // Two rows of three, all in the arena: what EveryArray names lies there one
  // after the other, each 64 bytes behind the last.
  LossCall Call(ClientArena* arena) {
    LossCall call;
    call.predictions = ViewOf(*arena->Allocate<float>(6), {2, 3});
    call.targets = ViewOf(*arena->Allocate<double>(6), {2, 3});
    call.sample_weights = ViewOf(*arena->Allocate<float>(2));
    call.mask = ViewOf(*arena->Allocate<uint8_t>(2));
    call.upstream_gradient = ViewOf(*arena->Allocate<double>(1));
    call.extra_inputs["variance"] =
        Float16ViewOf(*arena->Allocate<uint16_t>(6), {2, 3});
    call.gradient = MutableViewOf(*arena->Allocate<float>(6));
    call.extra_gradients["variance"] =
        MutableViewOf(*arena->Allocate<float>(6));
    call.row_losses = *arena->Allocate<double>(2);
    return call;
  }

  const test::TempDir folder_;
  test::FakeArenaServer arenas_{folder_ / "arenas"};
  test::FakeServer server_;
};

// Of the test's arena: the first one of its connection.
std::string Place(const v1::ArenaRef& ref) {
  EXPECT_EQ(ref.id(), std::string(16, '\1'));
  return std::to_string(ref.offset()) + "+" + std::to_string(ref.length());
}

// The arrays of a call, by the names that errors give them.
std::map<std::string, void**> EveryArray(LossCall* call) {
  const auto input = [](ArrayView* view) {
    return const_cast<void**>(&view->data);
  };
  return {
      {"predictions", input(&*call->predictions)},
      {"targets", input(&*call->targets)},
      {"sample_weights", input(&*call->sample_weights)},
      {"mask", input(&*call->mask)},
      {"upstream_gradient", input(&*call->upstream_gradient)},
      {"extra_inputs.variance", input(&call->extra_inputs["variance"])},
      {"gradient", &call->gradient.data},
      {"extra_gradients.variance", &call->extra_gradients["variance"].data}};
}

void ExpectRefused(const absl::Status& status, absl::StatusCode code,
                   const std::string& field) {
  EXPECT_EQ(status.code(), code) << status;
  EXPECT_THAT(status.message(), HasSubstr(field));
  const auto violations = ViolationsOf(status);
  ASSERT_EQ(violations.size(), 1u) << status;
  EXPECT_EQ(violations[0].field(), field);
}

TEST_F(ArenaCallsTest, NamesEveryArrayThatIsInAnArena) {
  const Client client = Connected();
  ClientArena arena = Create(client);
  EXPECT_TRUE(arena.shared());
  EXPECT_EQ(arena.bytes(), 4096u);
  const LossCall call = Call(&arena);
  EXPECT_EQ(arena.allocated(), 8 * 64u + 16u);
  // Copies share the arenas.
  const Client copy = client;
  const auto result = copy.Compute(call);
  ASSERT_TRUE(result.ok()) << result.status();
  const v1::LossItem item = server_.requests()[0].items(0);
  EXPECT_EQ(item.predictions().dtype(), v1::DTYPE_FLOAT32);
  EXPECT_THAT(item.predictions().shape(), ElementsAre(2, 3));
  EXPECT_EQ(Place(item.predictions().arena()), "0+24");
  EXPECT_EQ(Place(item.targets().arena()), "64+48");
  EXPECT_EQ(Place(item.sample_weights().arena()), "128+8");
  EXPECT_EQ(Place(item.mask().arena()), "192+2");
  EXPECT_EQ(Place(item.upstream_gradient().arena()), "256+8");
  EXPECT_EQ(Place(item.extra_inputs().at("variance").arena()), "320+12");
  EXPECT_EQ(Place(item.outputs().gradient_to()), "384+24");
  EXPECT_EQ(Place(item.outputs().extra_gradients_to().at("variance")),
            "448+24");
  EXPECT_EQ(Place(item.outputs().row_losses_to()), "512+16");
  EXPECT_TRUE(item.outputs().gradient());
  EXPECT_TRUE(item.outputs().row_losses());
  // The server has written there, and nobody else.
  EXPECT_THAT(call.row_losses, Each(0));
}

TEST_F(ArenaCallsTest, OrdinaryArraysStandBesideThem) {
  const std::vector<float> predictions = {1, 2, 3, 4, 5, 6};
  std::vector<float> gradient(6, -1);
  const Client client = Connected();
  ClientArena arena = Create(client);
  std::vector<LossCall> calls(3, Call(&arena));
  calls[1].predictions = ViewOf(predictions, {2, 3});
  calls[1].gradient = MutableViewOf(gradient);
  // In place.
  calls[2].gradient.data = const_cast<void*>(calls[2].predictions->data);
  const auto results = client.ComputeBatch(calls);
  ASSERT_TRUE(results.ok()) << results.status();
  for (const auto& result : *results)
    EXPECT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(gradient, ElementsAre(0, 1, 2, 3, 4, 5));
  const v1::ComputeRequest request = server_.requests()[0];
  EXPECT_EQ(request.items(1).predictions().data().size(), 24u);
  EXPECT_FALSE(request.items(1).outputs().has_gradient_to());
  EXPECT_EQ(Place(request.items(1).targets().arena()), "64+48");
  EXPECT_EQ(Place(request.items(2).outputs().gradient_to()), "0+24");
}

TEST_F(ArenaCallsTest, ArenasOfAnotherClientAreOrdinaryMemory) {
  const Client client = Connected();
  ClientArena arena = Create(client);
  const LossCall call = Call(&arena);
  const Client other = Connected();
  ASSERT_TRUE(other.Compute(call).ok());
  const v1::LossItem item = server_.requests()[0].items(0);
  EXPECT_EQ(item.predictions().data().size(), 24u);
  EXPECT_THAT(call.row_losses, ElementsAre(0, 10));
}

TEST_F(ArenaCallsTest, OnlyWhatTravelsIsAnnounced) {
  std::vector<int64_t> announced;
  server_.before_compute = [&announced](grpc::ServerContext* context) {
    const auto header =
        context->client_metadata().find(wire::kAnnouncedBytesHeader)->second;
    wire::AnnouncedBytes bytes;
    EXPECT_TRUE(
        wire::ParseAnnouncedBytes({header.data(), header.size()}, &bytes));
    announced.push_back(bytes.reply - wire::kAnnouncedResultBytes);
    return grpc::Status::OK;
  };
  std::vector<float> gradient(6);
  std::vector<double> row_losses(2);
  const Client client = Connected();
  ClientArena arena = Create(client);
  const LossCall call = Call(&arena);
  ASSERT_TRUE(client.Compute(call).ok());
  LossCall sent = call;
  sent.gradient = MutableViewOf(gradient);
  ASSERT_TRUE(client.Compute(sent).ok());
  // That of the predictions, which comes along.
  sent.gradient = {};
  ASSERT_TRUE(client.Compute(sent).ok());
  sent = call;
  sent.extra_gradients["variance"] = MutableViewOf(gradient);
  ASSERT_TRUE(client.Compute(sent).ok());
  // Likewise the other way about.
  sent.extra_gradients = {};
  ASSERT_TRUE(client.Compute(sent).ok());
  sent = call;
  sent.row_losses = row_losses;
  ASSERT_TRUE(client.Compute(sent).ok());
  EXPECT_THAT(announced, ElementsAre(0, 24, 24, 24, 24, 16));
}

TEST_F(ArenaCallsTest, RepliesThatNameAnotherPlaceAreErrors) {
  std::function<void(v1::Tensor*)> spoil;
  std::function<v1::Tensor*(v1::LossResult*)> choose;
  server_.edit = [&](v1::ComputeResponse* response) {
    spoil(choose(response->mutable_results(0)));
  };
  const Client client = Connected();
  ClientArena arena = Create(client);
  const LossCall call = Call(&arena);
  for (const auto& [field, tensor] :
       std::map<std::string, std::function<v1::Tensor*(v1::LossResult*)>>{
           {"gradient",
            [](auto* result) { return result->mutable_gradient(); }},
           {"extra_gradients.variance",
            [](auto* result) {
              return &result->mutable_extra_gradients()->at("variance");
            }},
           {"row_losses",
            [](auto* result) { return result->mutable_row_losses(); }}}) {
    choose = tensor;
    for (const std::function<void(v1::Tensor*)>& change :
         std::vector<std::function<void(v1::Tensor*)>>{
             [](auto* it) { it->set_dtype(v1::DTYPE_INT32); },
             [](auto* it) { it->mutable_arena()->mutable_id()->back() ^= 1; },
             [](auto* it) { it->mutable_arena()->set_offset(1); },
             [](auto* it) { it->mutable_arena()->set_length(1); },
             [](auto* it) { it->set_data(std::string(24, 'x')); },
             [](auto* it) { it->Clear(); }}) {
      spoil = change;
      const absl::Status status = client.Compute(call).status();
      EXPECT_EQ(status.code(), absl::StatusCode::kInternal) << status;
      EXPECT_THAT(status.message(), HasSubstr(field));
    }
  }
}

TEST_F(ArenaCallsTest, FreedArenasAreRefusedByTheField) {
  for (const bool fall_back : {false, true}) {
    if (fall_back) server_.info.clear_arena_address();
    const Client client = Connected();
    ClientArena good = Create(client, {.fall_back = fall_back});
    ClientArena freed = Create(client, {.fall_back = fall_back});
    EXPECT_EQ(good.shared(), !fall_back);
    LossCall other = Call(&freed);
    ASSERT_EQ(freed.Free(), absl::OkStatus());
    const auto code = absl::StatusCode::kFailedPrecondition;
    for (const auto& [field, data] : EveryArray(&other)) {
      good.Clear();
      std::vector<LossCall> calls(3, Call(&good));
      *EveryArray(&calls[1])[field] = *data;
      const auto results = client.ComputeBatch(calls);
      ASSERT_TRUE(results.ok()) << results.status();
      EXPECT_EQ((*results)[0]->loss, 0);
      ExpectRefused((*results)[1].status(), code, field);
      EXPECT_EQ((*results)[2]->loss, 1);
    }
    LossCall call = Call(&good);
    call.row_losses = other.row_losses;
    ExpectRefused(client.Compute(call).status(), code, "row_losses");
    other.gradient = {};
    other.extra_gradients = {};
    other.row_losses = {};
    ExpectRefused(client.ComputeBatch({&call, 1}, other).status(), code,
                  "defaults.predictions");
  }
}

TEST_F(ArenaCallsTest, RangesThatLeaveTheArenaAreRefused) {
  const Client client = Connected();
  ClientArena arena = Create(client);
  LossCall call = Call(&arena);
  const size_t last = arena.bytes() - 4;
  const auto begin = static_cast<const std::byte*>(call.predictions->data);
  call.predictions->data = begin + last;
  const absl::Status status = client.Compute(call).status();
  ExpectRefused(status, absl::StatusCode::kInvalidArgument, "predictions");
  EXPECT_THAT(status.message(), HasSubstr("24 bytes from byte 4092"));
  EXPECT_EQ(server_.requests().size(), 0u);
}

TEST_F(ArenaCallsTest, FallenBackMemoryTravelsInMessages) {
  server_.info.clear_arena_address();
  const Client client = Connected();
  EXPECT_EQ(client.CreateArena(4096).status().code(),
            absl::StatusCode::kUnimplemented);
  ClientArena arena = Create(client, {.fall_back = true});
  EXPECT_FALSE(arena.shared());
  LossCall call = Call(&arena);
  call.gradient.data = const_cast<void*>(call.predictions->data);
  ASSERT_TRUE(client.Compute(call).ok());
  const v1::LossItem item = server_.requests()[0].items(0);
  EXPECT_EQ(item.predictions().data().size(), 24u);
  EXPECT_FALSE(item.outputs().has_gradient_to());
  EXPECT_THAT(call.row_losses, ElementsAre(0, 10));
  EXPECT_THAT(std::span(static_cast<const float*>(call.predictions->data), 6),
              ElementsAre(0, 1, 2, 3, 4, 5));
}

// Else the results would be written where nothing is any more.
TEST_F(ArenaCallsTest, ACallKeepsItsArenas) {
  for (const bool shared : {true, false}) {
    if (!shared) server_.info.clear_arena_address();
    const Client client = Connected();
    std::optional<ClientArena> arena = Create(client, {.fall_back = !shared});
    const LossCall call = Call(&*arena);
    size_t frees = 1;
    server_.before_compute = [&](auto*) {
      arena.reset();
      frees = arenas_.requests().size() - 1;
      return grpc::Status::OK;
    };
    ASSERT_TRUE(client.Compute(call).ok());
    EXPECT_EQ(frees, shared ? 0u : 1u);
  }
  EXPECT_EQ(arenas_.requests().size(), 2u);
}

TEST_F(ArenaCallsTest, ArenasOutliveTheirClient) {
  std::optional<Client> client = Connected();
  ClientArena arena = Create(*client);
  client.reset();
  const auto values = arena.Allocate<int64_t>(512);
  ASSERT_TRUE(values.ok()) << values.status();
  std::ranges::fill(*values, int64_t{0x0101010101010101});
  EXPECT_THAT(arenas_.Memory(), Each(std::byte{1}));
  EXPECT_EQ(arena.Free(), absl::OkStatus());
}

}  // namespace
}  // namespace lossd
