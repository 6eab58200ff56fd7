// Neighbours that write while lossd reads: a data race on purpose, which the
// thread sanitizer is not asked about.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "tests/integration/arena_neighbours.h"
#include "tests/integration/messages.h"
#include "tests/support/loss_cases.h"
#include "tests/support/random.h"

namespace lossd::test {
namespace {

constexpr uint64_t kBytes = uint64_t{2} << 20;
constexpr int kCalls = 100;

// Writes what tensors may hold, and the worst, all the time.
class Writer {
 public:
  explicit Writer(std::vector<std::span<std::byte>> tensors)
      : tensors_(std::move(tensors)), thread_([this] { Write(); }) {}
  ~Writer() {
    done_ = true;
    thread_.join();
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

 private:
  void Write() {
    static constexpr std::array<uint64_t, 7> kWords = {
        0, std::numeric_limits<uint64_t>::max(), uint64_t{1} << 62,
        0x3ff0000000000000, 0x7ff80000ffc00000, 0x8000000080000000,
        // Labels, masks.
        0x0000000100000001};
    std::vector<std::vector<std::byte>> originals;
    for (const auto& tensor : tensors_) {
      originals.emplace_back(tensor.begin(), tensor.end());
    }
    Random random(3);
    const auto below = [&random](size_t count) {
      return static_cast<size_t>(random.Below(static_cast<int64_t>(count)));
    };
    while (!done_) {
      // Small ones as often as large ones: they become indices.
      const size_t i = below(tensors_.size());
      const std::span<std::byte> tensor = tensors_[i];
      const size_t begin = below(tensor.size());
      const auto part = tensor.subspan(begin, below(tensor.size() - begin) + 1);
      const uint64_t word = kWords.at(below(kWords.size()));
      for (size_t k = 0; k + sizeof(word) <= part.size(); k += sizeof(word)) {
        std::memcpy(&part[k], &word, sizeof(word));
      }
      std::ranges::copy(originals[i], tensor.begin());
    }
  }

  const std::vector<std::span<std::byte>> tensors_;
  std::atomic<bool> done_ = false;
  std::thread thread_;
};

// The memory of an item's inputs, all of which are in the arena.
std::vector<std::span<std::byte>> TensorsOf(const v1::LossItem& item,
                                            const OwnArena& arena) {
  std::vector<std::span<std::byte>> tensors;
  const auto add = [&](const v1::Tensor& tensor) {
    if (tensor.arena().length() == 0) return;
    tensors.push_back(arena.memory().subspan(tensor.arena().offset(),
                                             tensor.arena().length()));
  };
  add(item.predictions());
  add(item.targets());
  add(item.sample_weights());
  add(item.mask());
  for (const auto& [name, tensor] : item.extra_inputs()) add(tensor);
  return tensors;
}

class ArenaRaceTest : public ArenaNeighboursTest {
 protected:
  // Calls of an item whose inputs somebody writes to, then one without him.
  void ComputeSpoilt(const v1::LossItem& item) const {
    const v1::LossResult expected = server_.Compute(item);
    ASSERT_EQ(expected.status().code(), 0) << expected.status().message();
    const ArenaClient client(path());
    const OwnArena arena(client, kBytes);
    // Outputs in the reply, in the arena, and in the predictions' place.
    v1::ComputeRequest request;
    v1::LossItem& in_reply = *request.add_items();
    in_reply = item;
    uint64_t end = arena.MoveAll(0, &in_reply);
    const uint64_t inputs = end;
    v1::LossItem& in_arena = *request.add_items();
    in_arena = in_reply;
    const uint64_t gradient = expected.gradient().data().size();
    *in_arena.mutable_outputs()->mutable_gradient_to() =
        arena.Ref(end, gradient);
    end += gradient;
    const std::string before = arena.Read(arena.Ref(0, inputs));
    v1::ComputeRequest in_place;
    *in_place.add_items() = in_reply;
    *in_place.mutable_items(0)->mutable_outputs()->mutable_gradient_to() =
        in_reply.predictions().arena();
    v1::ComputeStreamRequest stream;
    *stream.mutable_header()->mutable_item() = in_arena;
    {
      const Writer writer(TensorsOf(in_reply, arena));
      for (int call = 0; call < kCalls; ++call) {
        // Whatever comes out.
        server_.Compute(call % 4 == 0 ? in_place : request);
        if (call % 8 == 0) {
          server_.Send("/lossd.v1.LossService/ComputeStream",
                       {stream.SerializeAsString()});
        }
      }
    }
    ExpectUnharmed();
    std::ranges::copy(std::as_bytes(std::span(before)), arena.memory().begin());
    const v1::ComputeResponse response = server_.Compute(request);
    EXPECT_EQ(BytesOf(response.results(0)), BytesOf(expected));
    EXPECT_EQ(response.results(1).loss(), expected.loss());
    EXPECT_EQ(arena.Read(in_arena.outputs().gradient_to()),
              expected.gradient().data());
    // What lies behind is nobody's.
    EXPECT_TRUE(std::ranges::all_of(
        arena.memory().subspan(end),
        [](std::byte byte) { return byte == std::byte{0}; }));
  }
};

// Those whose inputs become indices, counts and divisors.
TEST_F(ArenaRaceTest, LabelsIndicesMasksAndWeights) {
  std::set<std::string> wanted = {
      "scce_logits_options",     "scce_logits_ignore",
      "scce_probabilities",      "cce_logits",
      "cce_probabilities",       "cce_top_k_options",
      "cce_top_k_probabilities", "cce_top_k_uniform_tail",
      "cfocal_logits",           "distillation",
      "distillation_reverse",    "multi_margin_weights",
      "multiclass_hinge",        "nll_class_weights",
      "importance_sampling",     "quantile_columns_of_tenths"};
  int dice = 0;
  int ppo = 0;
  for (const LossCase& loss_case : LossCases()) {
    const bool is_dice = loss_case.name.rfind("dice", 0) == 0;
    const bool is_ppo = loss_case.name.rfind("ppo", 0) == 0;
    dice += is_dice;
    ppo += is_ppo;
    if (wanted.erase(loss_case.name) == 0 && !is_dice && !is_ppo) continue;
    SCOPED_TRACE(loss_case.name);
    Problem problem = Sample(loss_case, {200, 37}, Dtype::kFloat32);
    AddWeights(problem, 2);
    AddMask(problem, 3);
    ComputeSpoilt(ItemOf(problem, {.dtype = Dtype::kFloat32}));
  }
  EXPECT_THAT(wanted, testing::IsEmpty());
  EXPECT_GT(dice, 0);
  EXPECT_GT(ppo, 0);
}

}  // namespace
}  // namespace lossd::test
