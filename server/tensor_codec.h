// lossd.v1.Tensor to and from the library's views, for every storage.

#ifndef LOSSD_SERVER_TENSOR_CODEC_H_
#define LOSSD_SERVER_TENSOR_CODEC_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "lib/core/tensor_view.h"
#include "lossd/v1/tensor.pb.h"
#include "proto/wire/reader.h"
#include "server/arena/arena_range.h"

namespace lossd {

// Most numbers in a DoubleList or an Int64List.
inline constexpr int64_t kMaxListValues = 65536;

// Where the elements of tensors are, besides their messages.
struct TensorSources {
  const wire::ReceivedPayloads& payloads;
  // Those that the caller may use; null for none.
  const ArenaRegistry* arenas = nullptr;
};

// A tensor of a request. Borrows the message and its payloads, whose bytes are
// used where gRPC put them, as are those in arenas, which it holds; only lists
// of numbers with a dtype of their own are converted. Neither copied nor moved,
// since the view may point into it.
class DecodedTensor {
 public:
  DecodedTensor() = default;
  DecodedTensor(const DecodedTensor&) = delete;
  DecodedTensor& operator=(const DecodedTensor&) = delete;

  // Once, the field `path` of the item. INVALID_ARGUMENT naming the path or a
  // field below it: no storage, unknown dtype, numbers that the dtype cannot
  // hold, numbers of another count than the shape has. For arenas as FindRange.
  // What can be seen from the view is left to the library.
  absl::Status Decode(std::string path, const v1::Tensor& tensor,
                      const TensorSources& sources);

  // A tensor of a stream: without storage it becomes a window, whose elements
  // come later.
  absl::Status DecodeStreamed(std::string path, const v1::Tensor& tensor,
                              const TensorSources& sources);

  const std::string& path() const { return path_; }

  // Of a tensor whose elements come later; null if they are there.
  Window* window() { return view_.data.is_window() ? &window_ : nullptr; }

  const TensorView& view() const { return view_; }

  // Where the numbers are, in terms of the proto: "data", "arena", "values",
  // "int_values".
  const char* storage() const { return storage_; }

 private:
  absl::Status DecodeType(const v1::Tensor& tensor);
  void SetPayload(const wire::Payload& payload);
  absl::Status DecodeArena(const v1::ArenaRef& ref,
                           const ArenaRegistry* arenas);
  absl::Status CheckCount() const;
  // A list of numbers, with or without a dtype of its own.
  template <class Number>
  absl::Status DecodeList(std::span<const Number> numbers);
  template <class To, class From>
  absl::Status Convert(std::span<const From> numbers);
  template <class From>
  absl::Status ConvertToHalf(std::span<const From> numbers);
  absl::Status CannotHold(size_t index, std::string got, bool exactly) const;

  std::string path_;
  TensorView view_;
  const char* storage_ = "data";
  std::array<int64_t, 1> list_shape_ = {};
  std::string converted_;
  std::vector<Piece> pieces_;
  Window window_;
  ArenaRange range_;
};

// Makes `tensor` a list of numbers with the dtype (a float type) and the
// elements of `view`; the shape is not touched.
void EncodeAsValues(const TensorView& view, v1::Tensor* tensor);

}  // namespace lossd

#endif  // LOSSD_SERVER_TENSOR_CODEC_H_
