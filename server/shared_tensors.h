// Tensors of a batch's defaults, decoded once for all items.

#ifndef LOSSD_SERVER_SHARED_TENSORS_H_
#define LOSSD_SERVER_SHARED_TENSORS_H_

#include <deque>
#include <string>

#include "absl/status/status.h"
#include "lossd/v1/loss_service.pb.h"
#include "proto/wire/reader.h"
#include "server/tensor_codec.h"

namespace lossd {

// Thread-safe once decoded.
class SharedTensors {
 public:
  struct Shared {
    const v1::Tensor* message = nullptr;
    // What became of decoding it: whatever item takes it has this status.
    absl::Status status;
    DecodedTensor tensor;
  };

  // Once. Both must outlive this.
  void Decode(const v1::LossItem& defaults,
              const wire::ReceivedPayloads& payloads);

  // Null if it is none of the defaults.
  const Shared* Find(const v1::Tensor& message) const;

 private:
  // They cannot move.
  std::deque<Shared> tensors_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_SHARED_TENSORS_H_
