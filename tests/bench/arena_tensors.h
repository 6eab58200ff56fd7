// The tensors of one loss twice: in an arena, for lossd, and in ordinary
// memory, for the library in this process.

#ifndef LOSSD_TESTS_BENCH_ARENA_TENSORS_H_
#define LOSSD_TESTS_BENCH_ARENA_TENSORS_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "lib/compute.h"
#include "tests/bench/buffer.h"

namespace lossd::bench {

// Predictions, targets and gradient of float32; labels are int64. For one
// thread at a time.
class ArenaTensors {
 public:
  // Makes an arena of `client`, and numbers. `loss` is mean_squared_error, with
  // one column, or sparse_categorical_cross_entropy of logits.
  static absl::StatusOr<std::unique_ptr<ArenaTensors>> Make(
      const Client& client, const std::string& loss, size_t rows,
      size_t columns);

  // Loss and gradient.
  absl::Status CallServer();
  absl::Status CallLibrary(int threads);
  // Both, which must have the same bits.
  absl::Status Compare(int threads);

 private:
  // Elements as bytes.
  struct Sizes {
    size_t predictions;
    size_t targets;
  };

  ArenaTensors(const Client& client, ClientArena arena, const Sizes& sizes);

  absl::Status Fill(const std::string& loss, size_t rows, size_t columns);

  const Client client_;
  ClientArena arena_;
  const Buffer predictions_;
  const Buffer targets_;
  const Buffer gradient_;
  std::vector<int64_t> shape_;
  std::vector<int64_t> target_shape_;
  LossCall call_;
  LossSpec spec_;
  double server_loss_ = 0;
  double library_loss_ = 0;
};

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_ARENA_TENSORS_H_
