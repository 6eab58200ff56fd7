#include "client/cli/bench_expected.h"

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/numbers.h"
#include "client/cli/array_data.h"
#include "client/cli/bench_data.h"
#include "client/cli/options_reflection.h"
#include "lib/compute.h"
#include "lib/core/numerics.h"

namespace lossd::cli {
namespace {

// The numbers of dtypes and enums are the proto's.
TensorView ViewOf(const v1::Tensor& tensor) {
  return {static_cast<Dtype>(tensor.dtype()),
          {tensor.shape().data(), static_cast<size_t>(tensor.shape_size())},
          std::as_bytes(std::span(tensor.data()))};
}

// Sets what SetNeededOptions may have set.
struct NeededOptionSetter {
  const v1::Loss& loss;

  void operator()(std::string_view name, PredictionKind& kind,
                  const auto&) const {
    const auto text = OptionText(loss, std::string(name));
    if (!text) return;
    const auto parsed = ParseEnum<v1::PredictionKind>("prediction_kind", *text);
    if (parsed.ok()) kind = static_cast<PredictionKind>(*parsed);
  }
  void operator()(std::string_view name, std::optional<double>& number,
                  const auto&) const {
    const auto text = OptionText(loss, std::string(name));
    double value = 0;
    if (text && absl::SimpleAtod(*text, &value)) number = value;
  }
  void operator()(std::string_view, auto&, const auto&) const {}
};

LossSpec SpecOf(const v1::Loss& loss) {
  const std::string& name = InfoOf(loss).name();
  const auto entry = std::ranges::find(lossd::AllLosses::kTable, name,
                                       &lossd::AllLosses::Entry::name);
  LossSpec spec;
  spec.params = entry->defaults();
  std::visit(
      [&](auto& params) {
        params.VisitOptions(params, NeededOptionSetter{loss});
      },
      spec.params);
  return spec;
}

v1::Tensor MakeOutput(v1::Dtype dtype, std::span<const int64_t> shape) {
  Array zeros = Zeros(dtype, {shape.begin(), shape.end()});
  return MakeTensor(dtype, zeros.shape, std::move(zeros.data));
}

std::span<std::byte> BytesOf(v1::Tensor* tensor) {
  return std::as_writable_bytes(std::span(*tensor->mutable_data()));
}

bool SameData(const v1::Tensor& a, const v1::Tensor& b) {
  return a.dtype() == b.dtype() && a.data() == b.data() &&
         std::ranges::equal(a.shape(), b.shape());
}

}  // namespace

std::string LibraryNumericsVersion() { return std::string(NumericsVersion()); }

absl::StatusOr<v1::LossResult> ExpectedResult(const v1::LossItem& item) {
  const LossSpec spec = SpecOf(item.loss());
  Inputs inputs;
  inputs.predictions = ViewOf(item.predictions());
  if (item.has_targets()) inputs.targets = ViewOf(item.targets());
  std::vector<NamedTensor> extras;
  for (const auto& [name, tensor] : item.extra_inputs()) {
    extras.push_back({name, ViewOf(tensor)});
  }
  inputs.extra_inputs = extras;
  const absl::StatusOr<OutputShapes> shapes = ShapesOfOutputs(spec, inputs);
  if (!shapes.ok()) return shapes.status();

  v1::LossResult expected;
  Outputs outputs;
  if (item.outputs().row_losses()) {
    *expected.mutable_row_losses() =
        MakeOutput(v1::DTYPE_FLOAT64, shapes->rows);
    outputs.row_losses = BytesOf(expected.mutable_row_losses());
  }
  std::vector<NamedOutput> extra_outputs;
  if (item.outputs().gradient()) {
    const v1::Tensor zeros =
        MakeOutput(item.predictions().dtype(), inputs.predictions.shape);
    *expected.mutable_gradient() = zeros;
    outputs.gradient = BytesOf(expected.mutable_gradient());
    for (const std::string_view name : shapes->differentiable) {
      v1::Tensor& gradient =
          (*expected.mutable_extra_gradients())[std::string(name)];
      gradient = zeros;
      extra_outputs.push_back({name, BytesOf(&gradient)});
    }
    outputs.extra_gradients = extra_outputs;
  }
  // On this thread alone: a team of OpenMP would go on to spin beside the
  // callers.
  const absl::StatusOr<LossResult> result = Compute(spec, inputs, outputs, 1);
  if (!result.ok()) return result.status();
  expected.set_loss(result->loss);
  return expected;
}

bool SameBits(const v1::LossResult& a, const v1::LossResult& b) {
  return std::bit_cast<uint64_t>(a.loss()) ==
             std::bit_cast<uint64_t>(b.loss()) &&
         SameData(a.row_losses(), b.row_losses()) &&
         SameData(a.gradient(), b.gradient()) &&
         a.extra_gradients_size() == b.extra_gradients_size() &&
         std::ranges::all_of(a.extra_gradients(), [&b](const auto& gradient) {
           const auto other = b.extra_gradients().find(gradient.first);
           return other != b.extra_gradients().end() &&
                  SameData(gradient.second, other->second);
         });
}

}  // namespace lossd::cli
