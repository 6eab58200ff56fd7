// Arrays of more than 2 GiB through the client, in memory for a few chunks.

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <span>
#include <string>

#include "client/client.h"
#include "tests/server/lossd_process.h"

namespace lossd {
namespace {

constexpr size_t kClasses = 1024;
// 2.25 GiB of bfloat16.
constexpr size_t kRows = size_t{512} * 2304;
constexpr size_t kElements = kRows * kClasses;

// Address space of this many bytes, over the same few pages again and again.
class Repeated {
 public:
  Repeated(size_t bytes, size_t pages) : bytes_(bytes) {
    data_ = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    const int file = memfd_create("repeated", 0);
    EXPECT_EQ(ftruncate(file, static_cast<off_t>(pages)), 0);
    for (size_t at = 0; at < bytes; at += pages) {
      void* const to = static_cast<char*>(data_) + at;
      EXPECT_EQ(mmap(to, std::min(pages, bytes - at), PROT_READ | PROT_WRITE,
                     MAP_SHARED | MAP_FIXED, file, 0),
                to);
    }
    close(file);
  }
  ~Repeated() { munmap(data_, bytes_); }
  Repeated(const Repeated&) = delete;
  Repeated& operator=(const Repeated&) = delete;

  template <class T>
  std::span<T> As() const {
    return {static_cast<T*>(data_), bytes_ / sizeof(T)};
  }

 private:
  const size_t bytes_;
  void* data_ = nullptr;
};

// All logits and labels are 0: every row has the loss log(1024) and the same
// gradient.
TEST(LongChunkedTest, TwoGibibytes) {
  LossdProcess process({"--listen=127.0.0.1:0", "--metrics_listen="});
  const std::string address = process.AwaitEvent("serving")["listen"][0];
  const auto client = Client::Connect(address);
  ASSERT_TRUE(client.ok()) << client.status();
  constexpr size_t kPages = size_t{16} << 20;
  const Repeated logits(2 * kElements, kPages);
  const Repeated labels(4 * kRows, kPages);
  const Repeated gradient(2 * kElements, kPages);
  LossCall call;
  call.loss.mutable_sparse_categorical_cross_entropy()->set_prediction_kind(
      v1::PREDICTION_KIND_LOGITS);
  call.predictions = Bfloat16ViewOf(
      logits.As<uint16_t>(),
      {static_cast<int64_t>(kRows), static_cast<int64_t>(kClasses)});
  call.targets = ViewOf(labels.As<int32_t>());
  call.gradient = MutableBfloat16ViewOf(gradient.As<uint16_t>());
  call.reduction = v1::REDUCTION_SUM;
  const auto result =
      client->ComputeChunked(call, {.deadline = absl::Minutes(10)});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->row_count, static_cast<int64_t>(kRows));
  // Rounding of the logarithm, the same for all rows, and of a tree of sums.
  EXPECT_NEAR(result->loss / static_cast<double>(kRows), std::log(1024.0),
              1e-6);
  const std::span<const uint16_t> slopes = gradient.As<uint16_t>();
  // 1 / 1024, and that minus 1 as bfloat16 has it.
  EXPECT_EQ(slopes[0], 0xBF80);
  EXPECT_EQ(std::count(slopes.begin(), slopes.begin() + kClasses, 0x3A80),
            kClasses - 1);
  EXPECT_TRUE(std::equal(slopes.begin(), slopes.begin() + kClasses,
                         slopes.end() - kClasses));
}

}  // namespace
}  // namespace lossd
