// Google Benchmark over the registry: every loss, whatever it is called.
//
//   bench_losses --benchmark_filter='huber/.*'
//
// Names are LOSS/ROWSxCOLUMNS/DTYPE/{gradient,value}/threads:N. One axis at a
// time leaves a common point (4 Mi elements, 1000 classes, float32, gradient,
// all threads): all combinations of 40 losses would take days. The rows called
// triad are the roof: what the memory allows for 12 bytes an element.

#include <benchmark/benchmark.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <unordered_set>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "lib/compute.h"
#include "tests/bench/peers.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"

namespace lossd::bench {
namespace {

using test::LossCase;
using test::TestCall;

constexpr std::array kDtypes = {Dtype::kFloat32, Dtype::kFloat64,
                                Dtype::kFloat16, Dtype::kBfloat16};
constexpr std::array<int64_t, 8> kElements = {
    1 << 10, 1 << 12, 1 << 14, 1 << 16, 1 << 18, 1 << 20, 1 << 22, 1 << 24};
constexpr std::array<int64_t, 7> kClasses = {2,    10,    100,   1000,
                                             8192, 32768, 131072};

int AllThreads() {
  return static_cast<int>(std::max(1u, std::thread::hardware_concurrency()));
}

struct Point {
  // Null: the triad.
  const LossCase* loss = nullptr;
  int64_t elements = 1 << 22;
  // Of losses that couple the elements of a row.
  int64_t classes = 1000;
  Dtype dtype = Dtype::kFloat32;
  bool gradient = true;
  int threads = AllThreads();
};

// A rank 1 tensor for losses that do not care.
std::vector<int64_t> ShapeOf(const Point& point) {
  if (point.loss == nullptr || !IsRowwise(*point.loss)) return {point.elements};
  return {std::max<int64_t>(1, point.elements / point.classes), point.classes};
}

std::string NameOf(const Point& point) {
  const std::vector<int64_t> shape = ShapeOf(point);
  const std::string_view loss = point.loss == nullptr
                                    ? "triad"
                                    : AllLosses::Find(point.loss->params).name;
  return absl::StrCat(
      std::string(loss), "/", shape[0], "x", shape.size() > 1 ? shape[1] : 1,
      "/", absl::AsciiStrToLower(std::string(NameOf(point.dtype))),
      point.gradient ? "/gradient" : "/value", "/threads:", point.threads);
}

// The bits of a number far below the largest float16, rounded to nearest.
uint16_t Float16Bits(float number) {
  // The exponents' biases are 112 apart; what is left has float16's fields 13
  // bits further up, those of denormals too.
  const auto bits = std::bit_cast<uint32_t>(std::abs(number) * 0x1p-112f);
  const uint32_t rounded = (bits + 0xFFF + ((bits >> 13) & 1)) >> 13;
  return static_cast<uint16_t>(rounded | (std::signbit(number) ? 0x8000u : 0u));
}

uint16_t Bfloat16Bits(float number) {
  const auto bits = std::bit_cast<uint32_t>(number);
  return static_cast<uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
}

// Tensors of a point. tests/support writes float32 and float64, the narrow ones
// are made of float32 here; labels and extra inputs are left as they are.
struct Tensors {
  explicit Tensors(const Point& point)
      : call(Sample(*point.loss, ShapeOf(point), Wide(point.dtype)),
             {.dtype = Wide(point.dtype), .row_losses = false}) {
    call.inputs.extra_inputs = call.extra_inputs;
    if (point.dtype == Wide(point.dtype)) return;
    Narrow(point.dtype, call.inputs.predictions, predictions);
    Narrow(point.dtype, call.inputs.targets, targets);
    call.outputs.gradient = call.outputs.gradient.first(predictions.size() * 2);
  }
  Tensors(const Tensors&) = delete;
  Tensors& operator=(const Tensors&) = delete;

  static Dtype Wide(Dtype dtype) {
    return dtype == Dtype::kFloat64 ? dtype : Dtype::kFloat32;
  }

  static void Narrow(Dtype dtype, TensorView& tensor,
                     std::vector<uint16_t>& memory) {
    if (tensor.dtype != Dtype::kFloat32) return;
    const auto bits = dtype == Dtype::kFloat16 ? Float16Bits : Bfloat16Bits;
    memory.resize(tensor.data.size() / sizeof(float));
    for (size_t i = 0; i < memory.size(); ++i) {
      float number = 0;
      std::memcpy(&number, tensor.data.data() + i * sizeof(float),
                  sizeof(float));
      memory[i] = bits(number);
    }
    tensor.dtype = dtype;
    tensor.data = std::as_bytes(std::span(memory));
  }

  TestCall call;
  std::vector<uint16_t> predictions;
  std::vector<uint16_t> targets;
};

// The last ones are kept: Google Benchmark calls a benchmark several times, and
// gradient and value, or other numbers of threads, come one after the other.
const TestCall& CallOf(const Point& point) {
  static std::string key;
  static std::unique_ptr<Tensors> tensors;
  Point any = point;
  any.gradient = true;
  any.threads = 0;
  if (key != NameOf(any)) {
    key = NameOf(any);
    tensors.reset();
    tensors = std::make_unique<Tensors>(point);
  }
  return tensors->call;
}

void SetCounters(benchmark::State& state, size_t elements, size_t bytes) {
  const auto iterations = static_cast<int64_t>(state.iterations());
  state.SetItemsProcessed(iterations * static_cast<int64_t>(elements));
  state.SetBytesProcessed(iterations * static_cast<int64_t>(bytes));
}

void RunLoss(benchmark::State& state, const Point& point) {
  const TestCall& call = CallOf(point);
  Outputs outputs = call.outputs;
  if (!point.gradient) outputs.gradient = {};
  while (state.KeepRunning()) {
    const auto result = Compute(call.spec, call.inputs, outputs, point.threads);
    if (!result.ok()) {
      state.SkipWithError(std::string(result.status().message()).c_str());
      return;
    }
    benchmark::DoNotOptimize(result->loss);
  }
  size_t bytes = call.inputs.predictions.data.size() +
                 call.inputs.targets.data.size() + outputs.gradient.size();
  for (const NamedTensor& extra : call.extra_inputs) {
    bytes += extra.tensor.data.size();
  }
  SetCounters(state, call.inputs.predictions.data.size() / SizeOf(point.dtype),
              bytes);
}

void RunTriad(benchmark::State& state, const Point& point) {
  const auto count = static_cast<size_t>(point.elements);
  const std::vector<float> a(count, 1);
  const std::vector<float> b(count, 2);
  std::vector<float> c(count);
  while (state.KeepRunning()) {
    Triad(a.data(), b.data(), c.data(), count, point.threads);
    benchmark::ClobberMemory();
  }
  SetCounters(state, count, 3 * count * sizeof(float));
}

// Axes cross in the common point, which is registered once.
void Register(const Point& point) {
  static std::unordered_set<std::string> names;
  const std::string name = NameOf(point);
  if (!names.insert(name).second) return;
  const auto run = point.loss == nullptr ? RunTriad : RunLoss;
  benchmark::RegisterBenchmark(name.c_str(), run, point)
      ->UseRealTime()
      ->Unit(benchmark::kMillisecond);
}

void RegisterAll(const LossCase* loss) {
  for (const int64_t elements : kElements) {
    Register({.loss = loss, .elements = elements});
    if (loss != nullptr) {
      Register({.loss = loss, .elements = elements, .gradient = false});
    }
  }
  for (int threads = 1; threads < AllThreads(); threads *= 2) {
    Register({.loss = loss, .threads = threads});
  }
  if (loss == nullptr) return;
  for (const Dtype dtype : kDtypes) {
    Register({.loss = loss, .dtype = dtype});
    Register({.loss = loss, .dtype = dtype, .gradient = false});
  }
  if (!IsRowwise(*loss)) return;
  for (const int64_t classes : kClasses) {
    Register({.loss = loss, .classes = classes});
  }
}

}  // namespace
}  // namespace lossd::bench

int main(int argc, char** argv) {
  lossd::bench::RegisterAll(nullptr);
  // The first row of a loss has its plainest options; a test wants a row for
  // every loss.
  for (size_t i = 0; i < lossd::AllLosses::kTable.size(); ++i) {
    const auto& cases = lossd::test::LossCases();
    const auto of_loss = [i](const auto& row) {
      return row.params.index() == i;
    };
    const auto row = std::ranges::find_if(cases, of_loss);
    if (row != cases.end()) lossd::bench::RegisterAll(&*row);
  }
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 1;
  benchmark::RunSpecifiedBenchmarks();
  benchmark::Shutdown();
}
