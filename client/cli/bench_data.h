// What `lossctl bench` sends: random tensors that a loss accepts.

#ifndef LOSSD_CLIENT_CLI_BENCH_DATA_H_
#define LOSSD_CLIENT_CLI_BENCH_DATA_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "lossd/v1/loss_service.pb.h"
#include "lossd/v1/losses.pb.h"
#include "lossd/v1/tensor.pb.h"

namespace lossd::cli {

// An item of bench: predictions [rows, columns] of a float dtype.
struct BenchShape {
  int64_t rows = 1;
  int64_t columns = 1;
  v1::Dtype dtype = v1::DTYPE_FLOAT32;
};

// `data` is dense, row-major and little-endian, of a length that fits.
v1::Tensor MakeTensor(v1::Dtype dtype, const std::vector<int64_t>& shape,
                      std::string data);

// Sets the options that a loss cannot do without, an enum to the first that is
// allowed (prediction_kind to LOGITS), a number to 1. Requires a loss of
// AllLosses().
void SetNeededOptions(v1::Loss* loss);

// The loss with predictions, targets and what it cannot do without; equal seeds
// give equal items. Values suit what the catalogue says of the loss: labels are
// classes, one-hot rows sum to 1, policies get log-probabilities. Requires a
// loss of AllLosses() with its needed options. INVALID_ARGUMENT, naming the
// input, for losses that need one of a shape that is not known here.
absl::StatusOr<v1::LossItem> MakeItem(const v1::Loss& loss,
                                      const BenchShape& shape, uint64_t seed);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_BENCH_DATA_H_
