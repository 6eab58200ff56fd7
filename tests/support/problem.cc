#include "tests/support/problem.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>
#include <limits>
#include <type_traits>
#include <utility>

#include "lib/core/shape.h"
#include "lib/plan.h"
#include "tests/support/half.h"

namespace lossd::test {
namespace {

constexpr size_t kCanaries = 64;
constexpr std::byte kCanary{0xA5};

// The number as an element of type T, exact or rounded to nearest.
template <class T>
void Store(std::byte* to, auto number) {
  const T element = static_cast<T>(number);
  std::memcpy(to, &element, sizeof(T));
}

template <class T>
double Load(const std::byte* from) {
  T element;
  std::memcpy(&element, from, sizeof(T));
  return static_cast<double>(element);
}

void StoreAs(Dtype dtype, std::byte* to, auto number) {
  switch (dtype) {
    case Dtype::kFloat32:
      return Store<float>(to, number);
    case Dtype::kFloat64:
      return Store<double>(to, number);
    case Dtype::kInt32:
      return Store<int32_t>(to, number);
    case Dtype::kInt64:
      return Store<int64_t>(to, number);
    case Dtype::kBool:
      return Store<uint8_t>(to, number);
    case Dtype::kFloat16:
    case Dtype::kBfloat16: {
      const auto code =
          HalfCode(dtype, RoundToHalf(dtype, static_cast<double>(number)));
      std::memcpy(to, &code, sizeof(code));
      return;
    }
    case Dtype::kUnspecified:
      break;
  }
  ADD_FAILURE() << "no test sends " << NameOf(dtype);
}

bool SameDouble(double a, double b) {
  return std::bit_cast<uint64_t>(a) == std::bit_cast<uint64_t>(b);
}

testing::AssertionResult SameNumber(const char* what, double a, double b) {
  if (SameDouble(a, b)) return testing::AssertionSuccess();
  return testing::AssertionFailure()
         << what << ": " << testing::PrintToString(a) << " and "
         << testing::PrintToString(b) << ", difference " << a - b;
}

testing::AssertionResult SameNumbers(const char* what,
                                     const std::vector<double>& a,
                                     const std::vector<double>& b) {
  if (a.empty() || b.empty()) return testing::AssertionSuccess();
  if (a.size() != b.size()) {
    return testing::AssertionFailure()
           << what << ": " << a.size() << " and " << b.size() << " numbers";
  }
  for (size_t i = 0; i < a.size(); ++i) {
    if (!SameDouble(a[i], b[i])) {
      return SameNumber(what, a[i], b[i]) << " at " << i;
    }
  }
  return testing::AssertionSuccess();
}

std::vector<int64_t> ToVector(std::span<const int64_t> shape) {
  return {shape.begin(), shape.end()};
}

// Shape of what there is one of for each row.
std::span<const int64_t> RowShapeOf(const Problem& problem) {
  const std::span<const int64_t> shape = problem.shape;
  switch (problem.traits().layout) {
    case RowLayout::kLastAxis:
      break;
    case RowLayout::kElements:
      return shape;
    case RowLayout::kFirstAxis:
      return shape.first(std::min<size_t>(shape.size(), 1));
    case RowLayout::kWhole:
      return {};
  }
  return RowShape(shape);
}

// The same shape with another last axis.
std::vector<int64_t> WithLastAxis(std::span<const int64_t> rows, size_t last) {
  std::vector<int64_t> shape(rows.begin(), rows.end());
  shape.push_back(static_cast<int64_t>(last));
  return shape;
}

template <class T>
std::vector<T> Slice(const std::vector<T>& all, size_t begin, size_t end) {
  if (all.empty()) return {};
  using Distance = typename std::vector<T>::difference_type;
  return {all.begin() + static_cast<Distance>(begin),
          all.begin() + static_cast<Distance>(end)};
}

}  // namespace

LossKernel ResolvedKernel(LossParams params, Semantics semantics) {
  AllLosses::Resolve(semantics, &params);
  // Has no default that a kernel could be made of.
  if (auto* dro = std::get_if<DroParams>(&params)) {
    dro->beta = dro->beta.value_or(1);
  }
  return AllLosses::Find(params).kernel(params, semantics);
}

LossTraits Problem::traits() const {
  const absl::StatusOr<LossKernel> kernel = KernelOf(spec);
  return kernel.ok() ? kernel->traits
                     : ResolvedKernel(spec.params, spec.semantics).traits;
}

size_t Problem::rows() const {
  size_t rows = 1;
  for (const int64_t size : RowShapeOf(*this))
    rows *= static_cast<size_t>(size);
  return rows;
}

size_t Problem::columns() const {
  size_t elements = 1;
  for (const int64_t size : shape) elements *= static_cast<size_t>(size);
  const size_t all = rows();
  return all == 0 ? ColumnsOf(shape) : elements / all;
}

TestCall::Buffer TestCall::MakeInput(size_t size) const {
  return {std::vector<std::byte>(form_.offset + size), form_.offset, size};
}

TestCall::Buffer TestCall::MakeOutput(size_t size) const {
  const size_t begin = kCanaries + form_.offset;
  return {std::vector<std::byte>(begin + size + kCanaries, kCanary), begin,
          size};
}

template <class T>
TensorView TestCall::Add(const std::vector<T>& numbers, Dtype dtype,
                         std::span<const int64_t> shape) {
  const size_t size = SizeOf(dtype);
  Buffer buffer = MakeInput(numbers.size() * size);
  for (size_t i = 0; i < numbers.size(); ++i) {
    StoreAs(dtype, buffer.bytes.data() + buffer.begin + i * size, numbers[i]);
  }
  input_buffers_.push_back(std::move(buffer));
  const std::span<std::byte> bytes = input_buffers_.back().span();
  if (form_.piece_bytes == 0) return {dtype, shape, bytes};
  return {dtype, shape, Cut(bytes)};
}

Bytes TestCall::Cut(std::span<const std::byte> bytes) {
  std::vector<Piece>& pieces = pieces_.emplace_back();
  for (size_t begin = 0; begin < bytes.size(); begin += form_.piece_bytes) {
    const auto piece =
        bytes.subspan(begin, std::min(form_.piece_bytes, bytes.size() - begin));
    pieces.push_back({begin, cut_.emplace_back(piece.begin(), piece.end())});
  }
  return {pieces, bytes.size()};
}

TestCall::TestCall(const Problem& problem, const Form& form)
    : spec(problem.spec),
      form_(form),
      shape_(problem.shape),
      row_shape_(ToVector(RowShapeOf(problem))) {
  const LossTraits traits = problem.traits();
  const auto target_dtype =
      form.target_dtype == Dtype::kUnspecified ? form.dtype : form.target_dtype;
  inputs.predictions = Add(problem.predictions, form.dtype, shape_);
  const std::span<std::byte> predictions = input_buffers_.back().span();
  switch (traits.targets) {
    case TargetsRole::kLabels:
      inputs.targets = Add(problem.labels, form.label_dtype, row_shape_);
      break;
    case TargetsRole::kRows:
      inputs.targets = Add(problem.targets, target_dtype, row_shape_);
      break;
    case TargetsRole::kDense:
      AddDenseTargets(problem, target_dtype);
      break;
    case TargetsRole::kNone:
      break;
  }
  if (!problem.sample_weights.empty()) {
    inputs.sample_weights =
        Add(problem.sample_weights, form.weight_dtype, row_shape_);
  }
  if (!problem.mask.empty()) {
    inputs.mask = Add(problem.mask, Dtype::kBool, row_shape_);
  }
  if (!problem.upstream_gradient.empty()) {
    const bool single = problem.upstream_gradient.size() == 1;
    inputs.upstream_gradient =
        Add(problem.upstream_gradient, form.weight_dtype,
            single ? std::span<const int64_t>() : row_shape_);
  }
  for (const auto& [name, column] :
       {std::pair<std::string_view, const std::vector<double>*>{
            "class_weights", &problem.class_weights},
        {"pos_weight", &problem.pos_weight},
        {traits.column_input ? traits.column_input->name : "",
         &problem.column}}) {
    if (column->empty()) continue;
    column_shape_ = {static_cast<int64_t>(column->size())};
    extra_inputs.push_back(
        {name, Add(*column, form.weight_dtype, column_shape_)});
  }
  AddExtras(problem, traits);

  outputs.gradient_dtype = form.gradient_dtype;
  const Dtype gradient_dtype = form.gradient_dtype == Dtype::kUnspecified
                                   ? form.dtype
                                   : form.gradient_dtype;
  gradient_ =
      MakeOutput(form.gradient && !form.in_place
                     ? problem.predictions.size() * SizeOf(gradient_dtype)
                     : 0);
  outputs.gradient = form.in_place ? predictions : gradient_.span();
  if (!form.in_place) {
    for (auto& [name, buffer] : extra_gradients_) {
      buffer = MakeOutput(gradient_.size);
      extra_outputs_.push_back({name, buffer.span()});
    }
  }
  outputs.extra_gradients = extra_outputs_;
  outputs.diagnostics = form.diagnostics;
  row_losses_ =
      MakeOutput(form.row_losses ? problem.rows() * sizeof(double) : 0);
  outputs.row_losses = row_losses_.span();
}

void TestCall::AddDenseTargets(const Problem& problem, Dtype dtype) {
  if (problem.target_indices.empty()) {
    inputs.targets = Add(problem.targets, dtype, shape_);
    return;
  }
  indices_shape_ =
      WithLastAxis(row_shape_, problem.target_indices.size() / problem.rows());
  inputs.targets = Add(problem.targets, dtype, indices_shape_);
  extra_inputs.push_back(
      {"target_indices",
       Add(problem.target_indices, form_.label_dtype, indices_shape_)});
}

void TestCall::AddExtras(const Problem& problem, const LossTraits& traits) {
  const Dtype dtype = form_.extra_dtype == Dtype::kUnspecified
                          ? form_.dtype
                          : form_.extra_dtype;
  extra_names_.reserve(problem.extras.size());
  for (const Extra& extra : problem.extras) {
    const auto known =
        std::ranges::find(traits.extras, extra.name, &ExtraInput::name);
    const bool rows = known != traits.extras.end() &&
                      known->shape == ExtraInput::Shape::kRows;
    extra_names_.push_back(extra.name);
    extra_inputs.push_back(
        {extra_names_.back(),
         Add(extra.numbers, dtype, rows ? row_shape_ : shape_)});
    if (known != traits.extras.end() && known->differentiable &&
        form_.gradient) {
      extra_gradients_[extra.name];
    }
  }
}

absl::StatusOr<Answer> TestCall::Read(absl::StatusOr<LossResult> result) {
  std::vector<const Buffer*> buffers = {&gradient_, &row_losses_};
  for (const auto& [name, buffer] : extra_gradients_)
    buffers.push_back(&buffer);
  for (const Buffer* buffer : buffers) {
    const auto intact = [](std::byte byte) { return byte == kCanary; };
    const auto bytes = std::span(buffer->bytes);
    EXPECT_TRUE(std::ranges::all_of(bytes.first(buffer->begin), intact) &&
                std::ranges::all_of(bytes.subspan(buffer->begin + buffer->size),
                                    intact))
        << "wrote beside an output";
  }
  if (!result.ok()) return result.status();
  const Dtype gradient_dtype = outputs.gradient_dtype == Dtype::kUnspecified
                                   ? inputs.predictions.dtype
                                   : outputs.gradient_dtype;
  Answer answer{*std::move(result), Numbers(gradient_dtype, outputs.gradient),
                Numbers(Dtype::kFloat64, outputs.row_losses)};
  for (const NamedOutput& extra : extra_outputs_) {
    if (extra.data.empty()) continue;
    answer.extra_gradients[std::string(extra.name)] =
        Numbers(gradient_dtype, extra.data);
  }
  return answer;
}

absl::StatusOr<Answer> TestCall::Run() {
  inputs.extra_inputs = extra_inputs;
  return Read(Compute(spec, inputs, outputs, form_.threads));
}

absl::StatusOr<Answer> TestCall::RunReversed() {
  inputs.extra_inputs = extra_inputs;
  absl::StatusOr<Computation> computation =
      Computation::Plan(spec, inputs, outputs);
  if (!computation.ok()) return computation.status();
  for (size_t i = computation->weigh_blocks(); i > 0; --i) {
    computation->WeighBlock(i - 1);
  }
  const absl::Status weighed = computation->FinishWeighing();
  if (!weighed.ok()) return weighed;
  for (size_t i = computation->blocks(); i > 0; --i) {
    computation->RunBlock(i - 1);
  }
  return Read(computation->Finish());
}

absl::StatusOr<Answer> Solve(const Problem& problem, const Form& form) {
  return TestCall(problem, form).Run();
}

Answer MustSolve(const Problem& problem, const Form& form) {
  absl::StatusOr<Answer> answer = Solve(problem, form);
  if (answer.ok()) return *std::move(answer);
  ADD_FAILURE() << answer.status();
  return {{},
          std::vector<double>(problem.predictions.size()),
          std::vector<double>(problem.rows())};
}

testing::AssertionResult SameBits(const Answer& a, const Answer& b) {
  const std::pair<const char*, std::pair<double, double>> numbers[] = {
      {"loss", {a.result.loss, b.result.loss}},
      {"loss_sum", {a.result.loss_sum, b.result.loss_sum}},
      {"weight_sum", {a.result.weight_sum, b.result.weight_sum}},
      {"normalizer", {a.result.normalizer, b.result.normalizer}},
      {"row_count",
       {static_cast<double>(a.result.row_count),
        static_cast<double>(b.result.row_count)}}};
  for (const auto& [name, pair] : numbers) {
    const auto same = SameNumber(name, pair.first, pair.second);
    if (!same) return same;
  }
  for (const auto& [name, gradient] : a.extra_gradients) {
    const auto other = b.extra_gradients.find(name);
    if (other == b.extra_gradients.end()) continue;
    const auto same = SameNumbers(name.c_str(), gradient, other->second);
    if (!same) return same;
  }
  const size_t figures =
      std::min(a.result.diagnostics.size(), b.result.diagnostics.size());
  for (size_t i = 0; i < figures; ++i) {
    const auto same = SameNumber(a.result.diagnostics[i].name.c_str(),
                                 a.result.diagnostics[i].value,
                                 b.result.diagnostics[i].value);
    if (!same) return same;
  }
  const auto same_rows = SameNumbers("row_losses", a.row_losses, b.row_losses);
  return same_rows ? SameNumbers("gradient", a.gradient, b.gradient)
                   : same_rows;
}

Problem Rows(const Problem& problem, size_t begin, size_t end) {
  Problem rows = problem;
  const size_t all = problem.rows();
  const size_t columns = problem.columns();
  rows.shape[0] = static_cast<int64_t>(end - begin);
  // One, unless every element is a row.
  const size_t per_index = all / static_cast<size_t>(problem.shape[0]);
  begin *= per_index;
  end *= per_index;
  for (Extra& extra : rows.extras) {
    const size_t size = extra.numbers.size() / all;
    extra.numbers = Slice(extra.numbers, begin * size, end * size);
  }
  const size_t indices = problem.target_indices.size() / all;
  const size_t targets = problem.targets.size() / all;
  rows.target_indices =
      Slice(problem.target_indices, begin * indices, end * indices);
  rows.predictions = Slice(problem.predictions, begin * columns, end * columns);
  rows.targets = Slice(problem.targets, begin * targets, end * targets);
  rows.labels = Slice(problem.labels, begin, end);
  rows.sample_weights = Slice(problem.sample_weights, begin, end);
  rows.mask = Slice(problem.mask, begin, end);
  if (problem.upstream_gradient.size() > 1) {
    rows.upstream_gradient = Slice(problem.upstream_gradient, begin, end);
  }
  return rows;
}

std::vector<double> Numbers(Dtype dtype, std::span<const std::byte> bytes) {
  const size_t size = SizeOf(dtype);
  std::vector<double> numbers(bytes.size() / size);
  for (size_t i = 0; i < numbers.size(); ++i) {
    const std::byte* element = bytes.data() + i * size;
    if (size == sizeof(uint16_t)) {
      uint16_t code = 0;
      std::memcpy(&code, element, size);
      numbers[i] = HalfNumber(dtype, code);
    } else {
      numbers[i] = dtype == Dtype::kFloat32 ? Load<float>(element)
                                            : Load<double>(element);
    }
  }
  return numbers;
}

}  // namespace lossd::test
