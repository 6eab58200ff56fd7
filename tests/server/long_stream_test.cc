// A tensor of more than 2 GiB through the program, in memory for a few chunks.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "tests/server/lossd_process.h"
#include "tests/server/raw_calls.h"

namespace lossd {
namespace {

constexpr int64_t kClasses = 1024;
constexpr int64_t kRowsAChunk = 512;
// 2.25 GiB of bfloat16.
constexpr int64_t kChunks = 2304;
constexpr int64_t kRows = kRowsAChunk * kChunks;

// The most memory the process ever had, in bytes.
int64_t HighWater(pid_t pid) {
  std::ifstream status("/proc/" + std::to_string(pid) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.rfind("VmHWM:", 0) == 0) return std::stoll(line.substr(6)) * 1024;
  }
  ADD_FAILURE() << "no VmHWM";
  return 0;
}

v1::ComputeStreamRequest Header() {
  v1::ComputeStreamRequest message;
  v1::LossItem& item = *message.mutable_header()->mutable_item();
  item.mutable_loss()
      ->mutable_sparse_categorical_cross_entropy()
      ->set_prediction_kind(v1::PREDICTION_KIND_LOGITS);
  item.set_reduction(v1::REDUCTION_SUM);
  item.mutable_outputs()->set_gradient(true);
  item.mutable_predictions()->set_dtype(v1::DTYPE_BFLOAT16);
  item.mutable_predictions()->add_shape(kRows);
  item.mutable_predictions()->add_shape(kClasses);
  item.mutable_targets()->set_dtype(v1::DTYPE_INT32);
  item.mutable_targets()->add_shape(kRows);
  return message;
}

// All logits and labels are 0: every row has the loss log(1024), and every
// chunk the same gradient.
TEST(LongStreamTest, TwoGibibytes) {
  LossdProcess process({"--listen=127.0.0.1:0", "--metrics_listen="});
  const std::string address = process.AwaitEvent("serving")["listen"][0];
  const auto stub = v1::LossService::NewStub(Connect(address));
  grpc::ClientContext context;
  const auto stream = stub->ComputeStream(&context);
  std::thread writer([&stream] {
    bool writes = stream->Write(Header());
    v1::ComputeStreamRequest labels;
    labels.mutable_chunk()->set_tensor("targets");
    labels.mutable_chunk()->mutable_data()->resize(4 * kRowsAChunk);
    v1::ComputeStreamRequest logits;
    logits.mutable_chunk()->set_tensor("predictions");
    logits.mutable_chunk()->mutable_data()->resize(2 * kRowsAChunk * kClasses);
    for (int64_t i = 0; writes && i < kChunks; ++i) {
      labels.mutable_chunk()->set_first_element(i * kRowsAChunk);
      logits.mutable_chunk()->set_first_element(i * kRowsAChunk * kClasses);
      writes = stream->Write(labels) && stream->Write(logits);
    }
    EXPECT_TRUE(writes);
    stream->WritesDone();
  });
  int64_t elements = 0;
  std::string first;
  bool in_order = true;
  bool same = true;
  v1::ComputeStreamResponse message;
  while (stream->Read(&message) && message.has_chunk()) {
    const std::string& data = message.chunk().data();
    in_order &= message.chunk().tensor() == "gradient" &&
                message.chunk().first_element() == elements;
    if (first.empty()) first = data;
    same &= data == first;
    elements += static_cast<int64_t>(data.size()) / 2;
  }
  writer.join();
  EXPECT_FALSE(stream->Read(&message) && message.has_chunk());
  const grpc::Status status = stream->Finish();
  ASSERT_TRUE(status.ok()) << status.error_message();
  EXPECT_TRUE(in_order);
  EXPECT_TRUE(same);
  EXPECT_EQ(elements, kRows * kClasses);
  EXPECT_GT(elements * 2, int64_t{1} << 31);
  ASSERT_TRUE(message.has_result());
  EXPECT_EQ(message.result().row_count(), kRows);
  // Rounding of the logarithm, the same for all rows, and of a tree of sums.
  EXPECT_NEAR(message.result().loss() / static_cast<double>(kRows),
              std::log(1024.0), 1e-6);
  EXPECT_LT(HighWater(process.pid()), int64_t{256} << 20);
}

}  // namespace
}  // namespace lossd
