// Times ours, a fused OpenMP loop and the triad on the same tensors when told
// to; compare_kernels.py tells, so that PyTorch can have its turn in between.
//
//   compare_kernels THREADS
//
// A line on stdin, a line on stdout:
//
//   load ID LOSS ROWS COLUMNS DTYPE PREDICTIONS TARGETS   files of raw numbers;
//        targets of the dtype, or int64 labels          -> ok, or refused: WHY
//   ours ID, fused_omp ID                               -> LOSS MS...
//   triad                             for 2^24 elements -> 0 MS...
//   drop ID                                             -> ok

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "lib/compute.h"
#include "tests/bench/buffer.h"
#include "tests/bench/peers.h"

namespace lossd::bench {
namespace {

constexpr int kRunsOfTurn = 3;
constexpr size_t kTriadElements = size_t{1} << 24;

[[noreturn]] void Die(const std::string& why) {
  std::cerr << "compare_kernels: " << why << "\n";
  std::exit(1);
}

// The whole file.
Buffer Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary | std::ios::ate);
  if (!file) Die("cannot read " + path);
  const auto size = static_cast<size_t>(file.tellg());
  Buffer buffer(size);
  file.seekg(0);
  file.read(buffer.as<char>(), static_cast<std::streamsize>(size));
  return buffer;
}

Dtype DtypeOf(std::string_view name) {
  for (const Dtype dtype :
       {Dtype::kFloat32, Dtype::kFloat64, Dtype::kFloat16, Dtype::kBfloat16}) {
    if (NameOf(dtype) == name) return dtype;
  }
  Die("no dtype " + std::string(name));
}

// Default options; predictions are logits where the loss wants to know.
template <size_t index = 0>
LossParams ParamsOf(std::string_view loss) {
  if constexpr (index == AllLosses::kTable.size()) {
    Die("no loss " + std::string(loss));
  } else {
    if (AllLosses::kTable[index].name != loss) return ParamsOf<index + 1>(loss);
    std::variant_alternative_t<index, LossParams> params;
    if constexpr (requires { params.prediction_kind; }) {
      params.prediction_kind = PredictionKind::kLogits;
    }
    return params;
  }
}

struct Case {
  LossSpec spec;
  std::vector<int64_t> shape;
  std::vector<int64_t> target_shape;
  Buffer predictions;
  Buffer targets;
  Buffer gradient;
  Dtype dtype;
  bool labels;
  Fused fused;

  absl::StatusOr<LossResult> Ours(int threads) const {
    const Inputs inputs{.predictions = {dtype, shape, predictions.span()},
                        .targets = {labels ? Dtype::kInt64 : dtype,
                                    target_shape, targets.span()}};
    return Compute(spec, inputs, {.gradient = gradient.span()}, threads);
  }

  double FusedOmp(int threads) const {
    FusedArgs args{
        .predictions = predictions.as<float>(),
        .gradient = gradient.as<float>(),
        .rows = static_cast<size_t>(shape[0]),
        .columns = shape.size() > 1 ? static_cast<size_t>(shape[1]) : 1,
        .threads = threads};
    if (labels) {
      args.labels = targets.as<int64_t>();
    } else {
      args.targets = targets.as<float>();
    }
    return fused(args);
  }
};

Case Load(std::istream& words) {
  std::string loss, dtype_name, predictions, targets;
  int64_t rows = 0, columns = 0;
  words >> loss >> rows >> columns >> dtype_name >> predictions >> targets;
  if (!words) Die("load takes seven words");
  Buffer p = Read(predictions);
  Buffer t = Read(targets);
  const Dtype dtype = DtypeOf(dtype_name);
  const size_t size = p.span().size();
  const bool labels = loss.starts_with("sparse_");
  const std::vector<int64_t> row_shape = {rows};
  const std::vector<int64_t> shape =
      columns == 1 ? row_shape : std::vector<int64_t>{rows, columns};
  return {
      .spec = {.params = ParamsOf(loss)},
      .shape = shape,
      .target_shape = labels ? row_shape : shape,
      .predictions = std::move(p),
      .targets = std::move(t),
      .gradient = Buffer(size),
      .dtype = dtype,
      .labels = labels,
      .fused = dtype == Dtype::kFloat32 ? FindFused(loss.c_str()) : nullptr};
}

// One turn: a run that nobody times, since another had the caches before, then
// kRunsOfTurn. What the last one returned, and milliseconds of each.
template <class Run>
void Answer(Run run) {
  using Clock = std::chrono::steady_clock;
  double loss = run();
  std::ostringstream times;
  for (int i = 0; i < kRunsOfTurn; ++i) {
    const auto start = Clock::now();
    loss = run();
    const std::chrono::duration<double, std::milli> time = Clock::now() - start;
    times << " " << time.count();
  }
  std::cout.precision(17);
  std::cout << loss << times.str() << std::endl;
}

class Session {
 public:
  explicit Session(int threads) : threads_(threads) {}

  void Obey(const std::string& line) {
    std::istringstream words(line);
    std::string command, id;
    words >> command >> id;
    if (command == "load") {
      const Case& loaded =
          cases_.insert_or_assign(id, Load(words)).first->second;
      const absl::Status status = loaded.Ours(threads_).status();
      if (status.ok()) {
        std::cout << "ok" << std::endl;
      } else {
        std::cout << "refused: " << status.message() << std::endl;
      }
    } else if (command == "drop") {
      cases_.erase(id);
      std::cout << "ok" << std::endl;
    } else if (command == "triad") {
      RunTriad();
    } else if (command == "ours") {
      Answer([&] {
        const auto result = Find(id).Ours(threads_);
        if (!result.ok()) Die(std::string(result.status().message()));
        return result->loss;
      });
    } else if (command == "fused_omp") {
      if (Find(id).fused == nullptr) Die("no fused loop for " + id);
      Answer([&] { return Find(id).FusedOmp(threads_); });
    } else {
      Die("no command " + command);
    }
  }

 private:
  const Case& Find(const std::string& id) const {
    const auto found = cases_.find(id);
    if (found == cases_.end()) Die("nothing loaded as " + id);
    return found->second;
  }

  void RunTriad() {
    if (triad_.empty()) {
      for (int i = 0; i < 3; ++i) {
        triad_.emplace_back(kTriadElements * sizeof(float));
      }
    }
    Answer([&] {
      Triad(triad_[0].as<float>(), triad_[1].as<float>(), triad_[2].as<float>(),
            kTriadElements, threads_);
      return 0.0;
    });
  }

  int threads_;
  std::map<std::string, Case> cases_;
  std::vector<Buffer> triad_;
};

}  // namespace
}  // namespace lossd::bench

int main(int argc, char** argv) {
  const int threads = argc > 1 ? std::atoi(argv[1]) : 0;
  if (threads < 1) lossd::bench::Die("usage: compare_kernels THREADS");
  lossd::bench::Session session(threads);
  std::string line;
  while (std::getline(std::cin, line)) session.Obey(line);
}
