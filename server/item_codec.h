// One item of a request to and from the library.

#ifndef LOSSD_SERVER_ITEM_CODEC_H_
#define LOSSD_SERVER_ITEM_CODEC_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/status/status.h"
#include "lib/compute.h"
#include "lib/stream.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/item_loss.h"
#include "server/item_outputs.h"
#include "server/merged_item.h"
#include "server/reply_tensors.h"
#include "server/shared_tensors.h"
#include "server/tensor_codec.h"

namespace lossd {

// Most extra inputs of an item, those of the defaults included: more than any
// loss has.
inline constexpr int kMaxExtraInputs = 16;

// INVALID_ARGUMENT for more than that.
absl::Status CheckExtraInputs(const std::string& path, size_t count);

// What items are decoded with.
struct ItemContext {
  TensorSources sources;
  const SharedTensors& shared;
  ItemLosses& losses;
};

// An item as the library takes it, and the way back. Borrows the messages that
// `item` points to, and of the context all but the losses. For one thread.
//
//   DecodedItem decoded;
//   status = decoded.Decode(Merge(defaults, item), context);
//   Outputs outputs = decoded.outputs().Allocate(&tensors, &result);
//   ... Computation::Plan(decoded.spec(), decoded.inputs(), outputs) ...
//   decoded.Encode(computed, &result);
class DecodedItem {
 public:
  // INVALID_ARGUMENT, UNIMPLEMENTED or NOT_FOUND, with a violation whose field
  // is a path of the proto relative to the item.
  absl::Status Decode(const MergedItem& item, const ItemContext& context);

  // The item of a stream: tensors without storage are windows.
  absl::Status DecodeStreamed(const MergedItem& item,
                              const TensorSources& sources);

  const LossSpec& spec() const { return spec_; }
  const Inputs& inputs() const { return inputs_; }

  // The tensors that were given and are not shared, for streams.
  std::span<DecodedTensor> own_tensors() {
    return {own_tensors_.get(), own_count_};
  }

  ItemOutputs& outputs() { return outputs_; }
  const ItemOutputs& outputs() const { return outputs_; }

  // Name of the loss, whatever else is wrong with the item; empty if that is
  // not known. For metrics.
  const std::string& loss_name() const;

  // Elements of the predictions.
  size_t elements() const { return elements_; }

  // Bytes that the computation reads and writes.
  size_t work_bytes() const;

  // Fills what ItemOutputs has not: the numbers, and what was in force.
  void Encode(const LossResult& computed, v1::LossResult* result) const;

  // A status of the library with its field as a path of the proto: "options.d"
  // becomes "loss.huber.d", "targets.data" perhaps "targets.values".
  absl::Status WithProtoPath(const absl::Status& status) const;

 private:
  absl::Status DecodeTensors(const MergedItem& item,
                             const ItemContext& context);
  absl::Status DecodeTensor(std::string path, const v1::Tensor& tensor,
                            const ItemContext& context, TensorView* view);
  absl::Status DecodeOutputs(const MergedItem& item,
                             const ArenaRegistry* arenas);

  std::shared_ptr<const ItemLoss> loss_;
  LossSpec spec_;
  // They cannot move.
  std::unique_ptr<DecodedTensor[]> own_tensors_;
  size_t own_count_ = 0;
  // Those that are shared, too.
  absl::InlinedVector<const DecodedTensor*, 3> tensors_;
  std::vector<std::string> extra_names_;
  std::vector<NamedTensor> extra_inputs_;
  Inputs inputs_;
  size_t elements_ = 0;
  OutputShapes shapes_;
  ItemOutputs outputs_;
  bool streamed_ = false;
};

// Whether the loss is a finite number, or its sum where row losses alone were
// asked for.
bool IsFinite(const LossResult& computed);

}  // namespace lossd

#endif  // LOSSD_SERVER_ITEM_CODEC_H_
