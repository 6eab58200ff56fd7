// Memory that somebody else writes to while the library computes: results may
// be anything, but nothing beside the tensors is read or written.

#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <cstring>
#include <limits>
#include <memory>
#include <thread>
#include <vector>

#include "gtest/gtest.h"
#include "lib/core/convert.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/random.h"
#include "tests/support/status_matchers.h"

namespace lossd::test {
namespace {

size_t Below(Random& random, size_t count) {
  return static_cast<size_t>(random.Below(static_cast<int64_t>(count)));
}

// A copy of a tensor that ends where memory ends: a byte read beyond it ends
// the process, sanitizer or not.
class Fenced {
 public:
  explicit Fenced(std::span<const std::byte> bytes)
      : original_(bytes.begin(), bytes.end()) {
    const auto page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
    const size_t used = (bytes.size() + page - 1) / page * page;
    mapped_ = used + page;
    start_ =
        static_cast<std::byte*>(mmap(nullptr, mapped_, PROT_READ | PROT_WRITE,
                                     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    EXPECT_NE(start_, MAP_FAILED);
    EXPECT_EQ(mprotect(start_ + used, page, PROT_NONE), 0);
    memory_ = {start_ + used - bytes.size(), bytes.size()};
    Restore();
  }
  ~Fenced() { munmap(start_, mapped_); }
  Fenced(const Fenced&) = delete;
  Fenced& operator=(const Fenced&) = delete;

  std::span<const std::byte> memory() const { return memory_; }

  void Restore() {
    if (!memory_.empty()) {
      std::memcpy(memory_.data(), original_.data(), original_.size());
    }
  }

  // Words of 8 bytes that are, as what a tensor may hold, the worst.
  void Spoil(Random& random) {
    static constexpr std::array<uint64_t, 6> kWords = {
        0, std::numeric_limits<uint64_t>::max(), uint64_t{1} << 62,
        // As doubles or floats: 1, NaN, a number far below any label's class.
        0x3ff0000000000000, 0x7ff80000ffc00000, 0x8000000080000000};
    const size_t words = memory_.size() / sizeof(uint64_t);
    if (words == 0) return;
    const uint64_t word = kWords[Below(random, kWords.size())];
    const size_t begin = Below(random, words);
    const size_t end = begin + Below(random, words - begin) + 1;
    for (size_t i = begin; i < end; ++i) {
      std::memcpy(memory_.data() + i * sizeof(word), &word, sizeof(word));
    }
  }

 private:
  const std::vector<std::byte> original_;
  std::byte* start_ = nullptr;
  size_t mapped_ = 0;
  std::span<std::byte> memory_;
};

// Puts the tensors of a call into memory that is shared.
class SharedTensors {
 public:
  explicit SharedTensors(TestCall& call) {
    Move(call.inputs.predictions);
    if (call.inputs.targets.dtype != Dtype::kUnspecified) {
      Move(call.inputs.targets);
    }
    for (auto* tensor : {&call.inputs.sample_weights, &call.inputs.mask,
                         &call.inputs.upstream_gradient}) {
      if (*tensor) Move(**tensor);
    }
    for (NamedTensor& extra : call.extra_inputs) Move(extra.tensor);
  }

  void Spoil(Random& random) {
    tensors_[Below(random, tensors_.size())]->Spoil(random);
  }
  void Restore() {
    for (const auto& tensor : tensors_) tensor->Restore();
  }

 private:
  void Move(TensorView& view) {
    tensors_.push_back(std::make_unique<Fenced>(
        std::span(view.data.data(), view.data.size())));
    view.data = Bytes::Shared(tensors_.back()->memory());
  }

  std::vector<std::unique_ptr<Fenced>> tensors_;
};

// Computes while a neighbour writes, then compares the bits without him.
void ComputeSpoilt(const Problem& problem, Dtype dtype) {
  constexpr int kRuns = 20;
  const Form form{.dtype = dtype, .diagnostics = true};
  const Answer expected = MustSolve(problem, form);
  TestCall call(problem, form);
  SharedTensors tensors(call);
  std::atomic<bool> done = false;
  std::thread neighbour([&] {
    Random random(7);
    while (!done) {
      tensors.Spoil(random);
      if (random.Below(8) == 0) tensors.Restore();
    }
  });
  // Whatever comes out.
  for (int run = 0; run < kRuns; ++run) (void)call.Run();
  done = true;
  neighbour.join();
  tensors.Restore();
  const absl::StatusOr<Answer> answer = call.Run();
  ASSERT_THAT(answer, IsOk());
  EXPECT_TRUE(SameBits(*answer, expected));
}

class SharedMemoryTest : public testing::TestWithParam<LossCase> {};

TEST_P(SharedMemoryTest, NothingBesideTheTensorsIsTouched) {
  const std::vector<std::vector<int64_t>> shapes =
      IsRowwise(GetParam())
          ? std::vector<std::vector<int64_t>>{{64, 7}, {2, 5001}}
          : std::vector<std::vector<int64_t>>{{300, 37}};
  for (const Dtype dtype : {Dtype::kFloat32, Dtype::kFloat64}) {
    for (const std::vector<int64_t>& shape : shapes) {
      Problem problem = Sample(GetParam(), shape, dtype);
      ComputeSpoilt(problem, dtype);
      // These refuse most of what is spoilt before it comes to a kernel.
      AddWeights(problem, 2);
      AddMask(problem, 3);
      ComputeSpoilt(problem, dtype);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Losses, SharedMemoryTest,
                         testing::ValuesIn(LossCases()), CaseName);

// What becomes an index is read once.
TEST(SharedIntegersTest, AreCopied) {
  alignas(8) const std::array<int64_t, 2> labels = {3, 1};
  const std::array<int64_t, 1> shape = {2};
  const auto bytes = std::as_bytes(std::span(labels));
  std::array<int64_t, 2> scratch = {};
  const TensorView own{Dtype::kInt64, shape, bytes};
  EXPECT_EQ(ReadElements(own, 0, 2, scratch.data()), labels.data());
  const TensorView shared{Dtype::kInt64, shape, Bytes::Shared(bytes)};
  EXPECT_EQ(ReadElements(shared, 0, 2, scratch.data()), scratch.data());
  EXPECT_EQ(scratch, labels);
}

}  // namespace
}  // namespace lossd::test
