// Tensors of a batch's defaults, decoded once for all items.

#ifndef LOSSD_SERVER_SHARED_TENSORS_H_
#define LOSSD_SERVER_SHARED_TENSORS_H_

#include <cstddef>
#include <deque>
#include <string>

#include "absl/status/status.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/tensor_codec.h"

namespace lossd {

//   shared.Collect(defaults);
//   for (i < shared.size()) shared.Decode(i, sources);
//
// Decode may run in several threads at a time, for each tensor once; after that
// everything is thread-safe.
class SharedTensors {
 public:
  struct Shared {
    std::string path;
    const v1::Tensor* message = nullptr;
    // What became of decoding it: whatever item takes it has this status.
    absl::Status status;
    DecodedTensor tensor;
  };

  // `defaults` must outlive this, as must the payloads.
  void Collect(const v1::LossItem& defaults);
  size_t size() const { return tensors_.size(); }
  void Decode(size_t index, const TensorSources& sources);

  // Null if it is none of the defaults.
  const Shared* Find(const v1::Tensor& message) const;

 private:
  // They cannot move.
  std::deque<Shared> tensors_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_SHARED_TENSORS_H_
