// What is asked for: mean_squared_error of float32 with gradient, once as calls
// of the SDK and once as bytes.

#ifndef LOSSD_TESTS_BENCH_WIRE_REQUEST_H_
#define LOSSD_TESTS_BENCH_WIRE_REQUEST_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <span>
#include <string>
#include <vector>

#include "client/client.h"
#include "lossd/v1/loss_service.pb.h"
#include "tests/bench/wire_call.h"

namespace lossd::bench {

// A batch of `items` items of `elements` elements each, whose inputs differ.
class WireRequest {
 public:
  WireRequest(size_t items, size_t elements,
              const std::string& numerics_version);
  // Its buffers and calls point into it.
  WireRequest(const WireRequest&) = delete;
  WireRequest& operator=(const WireRequest&) = delete;

  // A ComputeRequest.
  grpc::ByteBuffer framed() const { return Borrow(framed_); }
  // Bytes of `framed`.
  size_t size() const { return framed_.size(); }
  // All predictions, then all targets, as the Python service takes them.
  grpc::ByteBuffer plain() const;
  // Bytes of the gradients of all items.
  size_t gradient_bytes() const { return predictions_.size() * sizeof(float); }
  // For Client::ComputeBatch; the gradients go to `gradient`, which has an
  // element for each prediction.
  std::vector<LossCall> Calls(std::span<float> gradient) const;
  // A ComputeStream of the only item, in chunks of 1 MiB.
  std::vector<grpc::ByteBuffer> StreamMessages() const;

 private:
  v1::LossItem Item() const;

  const size_t items_;
  const size_t elements_;
  const std::string numerics_version_;
  std::vector<float> predictions_;
  std::vector<float> targets_;
  std::string framed_;
};

// The loss of the first item of a ComputeResponse to `request`, or why one of
// them was not computed.
grpc::Status ReadReply(grpc::ByteBuffer reply, double* loss);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_WIRE_REQUEST_H_
