#ifndef LOSSD_SERVER_ITEM_OUTPUTS_H_
#define LOSSD_SERVER_ITEM_OUTPUTS_H_

#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "lib/compute.h"
#include "lib/stream.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/arena/arena_range.h"
#include "server/reply_tensors.h"

namespace lossd {

// The tensors that an item wants, in the reply or in arenas. For one thread.
class ItemOutputs {
 public:
  // What is known of the item; borrowed.
  struct Facts {
    const TensorView& predictions;
    const OutputShapes& shapes;
    Reduction reduction = Reduction::kMean;
    // The reply holds lists of numbers.
    bool as_values = false;
  };

  // INVALID_ARGUMENT for what cannot be wanted of this item and for
  // destinations of another size, else as FindRange; with a violation whose
  // field begins with "outputs". `wanted` is borrowed.
  absl::Status Decode(const v1::Outputs& wanted, const Facts& facts,
                      const ArenaRegistry* arenas);

  // Bytes of all tensors.
  size_t bytes() const;
  // Of those in the reply, if they are not lists: bytes of their data.
  size_t payload_bytes() const { return as_values_ ? 0 : reply_bytes(); }
  // Of those in the reply.
  size_t reply_bytes() const;

  // Makes room for the tensors of `result`, which must outlive the computation,
  // as must this and `tensors`.
  Outputs Allocate(ReplyTensors* tensors, v1::LossResult* result);

  // Fills in the lists of numbers, when all is computed.
  void EncodeValues(v1::LossResult* result) const;

  // What is wanted of a stream.
  StreamOutputs stream_outputs() const;

  // The destination of a stream's output; null if it is sent. `name` is that of
  // StreamChunk.tensor.
  std::byte* Destination(const std::string& name) const;

  // Says in the result of a stream what went to arenas.
  void EncodeDestinations(v1::LossResult* result) const;

 private:
  // One tensor.
  struct Wanted {
    // As StreamChunk.tensor: "gradient", "row_losses" or an extra input.
    std::string name;
    Dtype dtype = Dtype::kUnspecified;
    std::span<const int64_t> shape;
    size_t elements = 0;
    // Null: in the reply.
    const v1::ArenaRef* ref = nullptr;
    ArenaRange range = {};
    // What the library writes into for lists of numbers.
    std::string buffer = "";

    // Saturates: what a stream announces may be larger than any memory.
    size_t bytes() const {
      size_t bytes = 0;
      return __builtin_mul_overflow(elements, SizeOf(dtype), &bytes)
                 ? std::numeric_limits<size_t>::max()
                 : bytes;
    }
  };

  static absl::Status Find(const ArenaRegistry* arenas, Wanted* wanted);
  std::span<std::byte> AllocateOne(ReplyTensors* tensors,
                                   v1::LossResult* result,
                                   Wanted* wanted) const;
  static v1::Tensor* TensorOf(const Wanted& wanted, v1::LossResult* result);
  // With dtype, shape and, if it goes there, the place in an arena.
  static v1::Tensor* AddTensor(const Wanted& wanted, v1::LossResult* result);

  // That of the predictions first, then those of extra inputs; or none.
  absl::InlinedVector<Wanted, 1> gradients_;
  std::optional<Wanted> row_losses_;
  bool diagnostics_ = false;
  bool as_values_ = false;
  Dtype gradient_dtype_ = Dtype::kUnspecified;
  std::vector<NamedOutput> extra_outputs_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_ITEM_OUTPUTS_H_
