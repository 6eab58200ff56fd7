#include "tests/integration/arena_neighbours.h"

#include <sys/socket.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <string>
#include <system_error>
#include <utility>

#include "absl/strings/match.h"
#include "tests/integration/messages.h"
#include "tests/integration/metrics_page.h"
#include "tests/integration/stream_calls.h"

namespace lossd::test {
namespace {

constexpr int64_t kRows = 10'000;
// Of predictions, targets and gradient.
constexpr uint64_t kTensorBytes = kRows * 2 * sizeof(float);
constexpr auto kCanary = std::byte{0x5a};

// Memory files, and sockets of packets. gRPC, which opens and closes others
// when it likes, has none of these.
size_t DescriptorsOfArenas() {
  size_t count = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const std::string file =
        std::filesystem::read_symlink(entry.path(), gone).string();
    int type = 0;
    socklen_t size = sizeof(type);
    const int number = std::stoi(entry.path().filename().string());
    const bool packets =
        getsockopt(number, SOL_SOCKET, SO_TYPE, &type, &size) == 0 &&
        type == SOCK_SEQPACKET;
    if (packets || absl::StartsWith(file, "/memfd:lossd_arena")) ++count;
  }
  return count;
}

}  // namespace

v1::ArenaRef OwnArena::Ref(uint64_t offset, uint64_t length) const {
  v1::ArenaRef ref;
  ref.set_id(id().data(), id().size());
  ref.set_offset(offset);
  ref.set_length(length);
  return ref;
}

void OwnArena::Move(uint64_t offset, v1::Tensor* tensor) const {
  const std::string data = tensor->data();
  ASSERT_LE(offset + data.size(), memory().size());
  std::memcpy(memory().data() + offset, data.data(), data.size());
  *tensor->mutable_arena() = Ref(offset, data.size());
}

uint64_t OwnArena::MoveAll(uint64_t offset, v1::LossItem* item) const {
  const auto move = [&](v1::Tensor* tensor) {
    Move(offset, tensor);
    offset += tensor->arena().length();
  };
  move(item->mutable_predictions());
  if (item->has_targets()) move(item->mutable_targets());
  if (item->has_sample_weights()) move(item->mutable_sample_weights());
  if (item->has_mask()) move(item->mutable_mask());
  for (auto& [name, tensor] : *item->mutable_extra_inputs()) move(&tensor);
  return offset;
}

std::string OwnArena::Read(const v1::ArenaRef& ref) const {
  return {reinterpret_cast<const char*>(memory().data()) + ref.offset(),
          ref.length()};
}

v1::LossItem MseItem(int64_t rows) {
  v1::LossItem item;
  item.mutable_loss()->mutable_mean_squared_error();
  std::vector<float> numbers(static_cast<size_t>(rows) * 2);
  for (size_t i = 0; i < numbers.size(); ++i) {
    numbers[i] = static_cast<float>(i % 97) / 8;
  }
  *item.mutable_predictions() = TensorOf(v1::DTYPE_FLOAT32, numbers, {rows, 2});
  std::ranges::reverse(numbers);
  *item.mutable_targets() = TensorOf(v1::DTYPE_FLOAT32, numbers, {rows, 2});
  item.mutable_outputs()->set_gradient(true);
  return item;
}

HeldStream::HeldStream(v1::LossService::StubInterface& stub, v1::LossItem item)
    : targets_(std::move(*item.mutable_targets()->mutable_data())),
      stream_(stub.ComputeStream(&context_)) {
  item.mutable_targets()->clear_data();
  item.mutable_outputs()->set_row_losses(true);
  v1::ComputeStreamRequest header;
  *header.mutable_header()->mutable_item() = std::move(item);
  EXPECT_TRUE(stream_->Write(header));
  Send(0, targets_.size() / 2);
  // Row losses of what was sent.
  v1::ComputeStreamResponse message;
  EXPECT_TRUE(stream_->Read(&message)) << stream_->Finish().error_message();
}

HeldStream::~HeldStream() { context_.TryCancel(); }

std::optional<v1::LossResult> HeldStream::Finish() {
  Send(targets_.size() / 2, targets_.size());
  stream_->WritesDone();
  std::optional<v1::LossResult> result;
  for (v1::ComputeStreamResponse message; stream_->Read(&message);) {
    if (message.has_result()) result = message.result();
  }
  status_ = stream_->Finish();
  return result;
}

void HeldStream::Send(size_t begin, size_t end) {
  stream_->Write(ChunkOf("targets", static_cast<int64_t>(begin / sizeof(float)),
                         targets_.substr(begin, end - begin)));
}

ArenaNeighboursTest::ArenaNeighboursTest()
    : server_({.arena_listen = "unix:" + path(),
               .threads = 2,
               // What a call takes that does not say how large it is.
               .max_message_bytes = int64_t{4} << 20,
               .memory_budget = kBudget}),
      good_client_(path()),
      good_arena_(good_client_, kOwnBytes),
      sent_(MseItem(kRows)),
      expected_(BytesOf(server_.Compute(sent_))) {
  std::ranges::fill(good_arena_.memory(), kCanary);
  ExpectUnharmed();
  before_ = Now();
}

void ArenaNeighboursTest::TearDown() {
  EXPECT_TRUE(server_.Serving());
  ExpectUnharmed();
  // gRPC lets go of the last reply, and of the memory reserved for it, when it
  // likes: that may have counted before.
  WaitUntil([this] {
    const Levels now = Now();
    return now.descriptors <= before_.descriptors &&
           now.arenas <= before_.arenas &&
           now.arena_bytes <= before_.arena_bytes &&
           now.connections <= before_.connections &&
           now.reserved <= before_.reserved;
  });
}

void ArenaNeighboursTest::ExpectUnharmed() const {
  EXPECT_EQ(BytesOf(server_.Compute(sent_)), expected_);
  v1::LossResult expected;
  ASSERT_TRUE(expected.ParseFromString(expected_));
  v1::LossItem item = sent_;
  const uint64_t end = good_arena_.MoveAll(1, &item);
  const v1::ArenaRef to = good_arena_.Ref(end, kTensorBytes);
  *item.mutable_outputs()->mutable_gradient_to() = to;
  const v1::LossResult result = server_.Compute(item);
  EXPECT_EQ(result.loss(), expected.loss());
  EXPECT_EQ(good_arena_.Read(to), expected.gradient().data());
  const auto unused = good_arena_.memory().subspan(end + kTensorBytes);
  EXPECT_TRUE(std::ranges::all_of(
      unused, [](std::byte byte) { return byte == kCanary; }));
  EXPECT_EQ(good_arena_.memory()[0], kCanary);
  const auto used = good_arena_.memory().subspan(1, end + kTensorBytes - 1);
  std::ranges::fill(used, kCanary);
}

double ArenaNeighboursTest::Figure(const std::string& name) const {
  return MetricsPage(server_.Get("/metrics"))[name];
}

void ArenaNeighboursTest::Await(const std::string& name, double figure) const {
  WaitUntil([&] { return Figure(name) == figure; });
}

ArenaNeighboursTest::Levels ArenaNeighboursTest::Now() const {
  const MetricsPage page = SettledPage(server_);
  return {.descriptors = DescriptorsOfArenas(),
          .arenas = page["lossd_arenas"],
          .arena_bytes = page["lossd_arena_bytes"],
          .connections = page["lossd_arena_connections"],
          .reserved = page["lossd_memory_reserved_bytes"]};
}

}  // namespace lossd::test
