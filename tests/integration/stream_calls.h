// Items as messages of ComputeStream, and its replies as results.

#ifndef LOSSD_TESTS_INTEGRATION_STREAM_CALLS_H_
#define LOSSD_TESTS_INTEGRATION_STREAM_CALLS_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "lossd/v1/loss_service.pb.h"

namespace lossd::test {

// A tensor that goes in chunks.
struct StreamedTensor {
  std::string name;
  size_t element_bytes = 0;
  std::string data;
};

// An item taken apart: the header has no bytes of tensors that have a number
// for each row or more.
struct StreamedItem {
  v1::ComputeStreamRequest header;
  // Predictions last.
  std::deque<StreamedTensor> tensors;
};
StreamedItem TakeApart(const v1::LossItem& item);

// Of the mean squared error and its gradient, of so many floats.
v1::ComputeStreamRequest MseHeader(int64_t elements);

v1::ComputeStreamRequest ChunkOf(const std::string& tensor, int64_t first,
                                 std::string data);

enum class Order {
  // One tensor after the other, predictions last.
  kSidesFirst,
  // Whichever has the smallest part behind it.
  kTogether,
};

// The header and all chunks, of 1 to `most` elements, of sizes that follow from
// `seed`.
std::vector<v1::ComputeStreamRequest> Messages(const StreamedItem& item,
                                               Order order, size_t most,
                                               uint32_t seed = 1);

// Joins the messages of a reply: the result with the tensors of the item that
// came in chunks. Fails the test if they do not come in order, or if the result
// is not last.
struct StreamReply {
  v1::LossResult result;
  std::optional<double> gradient_scale;
};
StreamReply Joined(const std::vector<v1::ComputeStreamResponse>& messages,
                   const v1::LossItem& item);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_INTEGRATION_STREAM_CALLS_H_
