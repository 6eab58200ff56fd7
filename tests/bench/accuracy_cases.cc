// Writes what accuracy.py judges: inputs of cases of tests/support, what the
// library computes from them, and the reference.
//
//   accuracy_cases FOLDER CASE...
//
// FOLDER gets files of raw numbers and index.json, one object a problem:
//
//   {"case": "mse", "loss": "mean_squared_error", "dtype": "float32",
//    "rowwise": false, "arrays": {"predictions": "float64", ...}}
//
// where the array `predictions` of problem 7 is the file 7.predictions of
// numbers of that type, which hold those of the dtype exactly. `longdouble` is
// the 16 bytes that x86-64 has for long double.
//
// It is linked with a tests/support whose references have slopes.

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "nlohmann/json.hpp"
#include "tests/support/accuracy.h"
#include "tests/support/loss_cases.h"
#include "tests/support/problem.h"
#include "tests/support/reference_losses.h"

namespace lossd::bench {
namespace {

using test::Number;
using test::Problem;

std::vector<long double> Values(std::span<const Number> numbers) {
  std::vector<long double> values;
  for (const Number number : numbers) values.push_back(number.value);
  return values;
}

// Derivatives of the row losses with respect to the predictions, or to the
// extra input that is named; 0 in rows that do not count.
std::vector<Number> Slopes(const Problem& problem,
                           const test::Reference& reference,
                           const std::string& extra) {
  std::vector<Number> slopes;
  for (size_t row = 0; row < problem.rows(); ++row) {
    test::RowInputs inputs = RowOf(problem, row);
    for (Number& number :
         extra.empty() ? inputs.predictions : inputs.extras.at(extra)) {
      if (reference.gradient_factors[row] == 0) {
        slopes.emplace_back(0);
        continue;
      }
      number.slope = 1;
      slopes.emplace_back(ReferenceRowLoss(problem, row, inputs).loss.slope);
      number.slope = 0;
    }
  }
  return slopes;
}

class Writer {
 public:
  explicit Writer(std::filesystem::path folder) : folder_(std::move(folder)) {}

  void Add(const test::LossCase& loss_case, std::vector<int64_t> shape,
           Dtype dtype) {
    Problem problem = Sample(loss_case, shape, dtype, 11);
    // Weights of 1: the gradient is that of the row losses.
    problem.spec.reduction = Reduction::kSum;
    const absl::StatusOr<test::Answer> answer =
        Solve(problem, {.dtype = dtype});
    if (!answer.ok()) {
      std::cerr << loss_case.name << ": " << answer.status().message() << "\n";
      std::exit(1);
    }
    const std::string loss(AllLosses::Find(loss_case.params).name);
    index_.push_back(
        {{"case", loss_case.name},
         {"loss", loss},
         {"dtype", absl::AsciiStrToLower(std::string(NameOf(dtype)))},
         {"rowwise", IsRowwise(loss_case)},
         {"shape", problem.shape}});
    WriteInputs(problem);
    WriteLosses(problem, *answer);
    WriteGradient(loss_case, problem, "", answer->gradient);
    for (const auto& [extra, gradient] : answer->extra_gradients) {
      WriteGradient(loss_case, problem, extra, gradient);
    }
  }

  void Finish() { std::ofstream(folder_ / "index.json") << index_.dump(1); }

 private:
  template <class T>
  void Write(const std::string& name, const std::string& type,
             const std::vector<T>& numbers) {
    if (numbers.empty()) return;
    index_.back()["arrays"][name] = type;
    const auto bytes = std::as_bytes(std::span(numbers));
    const std::string file = std::to_string(index_.size() - 1) + "." + name;
    std::ofstream(folder_ / file, std::ios::binary)
        .write(reinterpret_cast<const char*>(bytes.data()),
               static_cast<std::streamsize>(bytes.size()));
  }

  void WriteInputs(const Problem& problem) {
    Write("predictions", "float64", problem.predictions);
    Write("targets", "float64", problem.targets);
    Write("labels", "int64", problem.labels);
    Write("class_weights", "float64", problem.class_weights);
    Write("pos_weight", "float64", problem.pos_weight);
    for (const test::Extra& extra : problem.extras) {
      Write(extra.name, "float64", extra.numbers);
    }
  }

  void WriteLosses(const Problem& problem, const test::Answer& answer) {
    std::vector<long double> losses;
    std::vector<long double> scales;
    for (const test::ReferenceRow& row : ComputeReference(problem).rows) {
      losses.push_back(row.loss.value);
      scales.push_back(row.scale.value);
    }
    Write("ours.losses", "float64", answer.row_losses);
    Write("reference.losses", "longdouble", losses);
    Write("scale.losses", "longdouble", scales);
  }

  void WriteGradient(const test::LossCase& loss_case, const Problem& problem,
                     const std::string& extra,
                     const std::vector<double>& gradient) {
    const std::vector<Number> slopes =
        Slopes(problem, ComputeReference(problem), extra);
    const std::string input = extra.empty() ? "predictions" : extra;
    Write("ours." + input, "float64", gradient);
    Write("reference." + input, "longdouble", Values(slopes));
    Write("scale." + input, "longdouble",
          Values(SlopeScales(loss_case, problem, slopes, extra)));
  }

  std::filesystem::path folder_;
  nlohmann::json index_ = nlohmann::json::array();
};

// About as many elements: the reference takes the loss of a row once for each.
std::vector<std::vector<int64_t>> ShapesOf(const test::LossCase& loss_case) {
  const RowLayout layout =
      Sample(loss_case, {2, 2}, Dtype::kFloat64).traits().layout;
  if (layout == RowLayout::kElements || !IsRowwise(loss_case)) {
    return {{8000, 1}};
  }
  return {{400, 20}, {5, 1000}};
}

}  // namespace
}  // namespace lossd::bench

// Only memory that runs out throws. NOLINTNEXTLINE(bugprone-exception-escape)
int main(int argc, char** argv) {
  if (argc < 3) {
    std::cerr << "usage: accuracy_cases FOLDER CASE...\n";
    return 2;
  }
  lossd::bench::Writer writer(argv[1]);
  const auto& cases = lossd::test::LossCases();
  for (const std::string name : std::span(argv + 2, argv + argc)) {
    const auto found =
        std::ranges::find(cases, name, &lossd::test::LossCase::name);
    if (found == cases.end()) {
      std::cerr << "no case " << name << "\n";
      return 1;
    }
    for (const auto& shape : lossd::bench::ShapesOf(*found)) {
      for (const auto dtype :
           {lossd::Dtype::kFloat32, lossd::Dtype::kFloat64}) {
        writer.Add(*found, shape, dtype);
      }
    }
  }
  writer.Finish();
}
