#include "client/cli/bench_data.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstddef>
#include <random>
#include <span>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/array_data.h"
#include "client/cli/options_reflection.h"
#include "client/cli/row_shape.h"

namespace lossd::cli {
namespace {

// The same numbers with every standard library, unlike its distributions.
class Random {
 public:
  explicit Random(uint64_t seed) : engine_(seed) {}

  double Uniform(double low, double high) {
    return low + (high - low) * static_cast<double>(engine_() >> 11) * 0x1p-53;
  }
  int64_t Below(int64_t count) {
    return static_cast<int64_t>(engine_() % static_cast<uint64_t>(count));
  }

 private:
  std::mt19937_64 engine_;
};

template <typename T>
void Append(T value, std::string* bytes) {
  bytes->append(reinterpret_cast<const char*>(&value), sizeof(value));
}

// Towards 0, and to 0 what is no normal number: random numbers are as good as
// their neighbours. Requires magnitudes below 65504.
uint16_t ToFloat16(double number) {
  const auto bits = std::bit_cast<uint32_t>(static_cast<float>(number));
  const int exponent = static_cast<int>((bits >> 23) & 0xff) - 127 + 15;
  const uint32_t sign = (bits >> 16) & 0x8000;
  if (exponent <= 0) return static_cast<uint16_t>(sign);
  return static_cast<uint16_t>(sign | static_cast<uint32_t>(exponent) << 10 |
                               ((bits >> 13) & 0x3ff));
}

std::string Encode(std::span<const double> numbers, v1::Dtype dtype) {
  std::string bytes;
  bytes.reserve(numbers.size() * SizeOf(dtype));
  for (const double number : numbers) {
    if (dtype == v1::DTYPE_FLOAT64) {
      Append(number, &bytes);
    } else if (dtype == v1::DTYPE_FLOAT32) {
      Append(static_cast<float>(number), &bytes);
    } else if (dtype == v1::DTYPE_FLOAT16) {
      Append(ToFloat16(number), &bytes);
    } else {
      const auto bits = std::bit_cast<uint32_t>(static_cast<float>(number));
      Append(static_cast<uint16_t>(bits >> 16), &bytes);
    }
  }
  return bytes;
}

void BecomeLogProbabilities(std::span<double> row) {
  double sum = 0;
  for (const double logit : row) sum += std::exp(logit);
  const double log_sum = std::log(sum);
  for (double& logit : row) logit -= log_sum;
}

void BecomeOneHot(std::span<double> row) {
  const auto largest = std::max_element(row.begin(), row.end());
  const auto hot = static_cast<size_t>(largest - row.begin());
  std::fill(row.begin(), row.end(), 0);
  row[hot] = 1;
}

// Each one of both. Requires numbers in [0, 1).
void BecomeEither(std::vector<double>& numbers, double first, double second) {
  for (double& number : numbers) number = number < 0.5 ? first : second;
}

bool HasClasses(v1::Task task) {
  return task == v1::TASK_MULTICLASS || task == v1::TASK_DISTRIBUTION;
}

struct Range {
  double low;
  double high;
};

// Of predictions: log-probabilities for policies, logits where there are
// classes (which become log-probabilities, and are logits still), and else
// positive numbers, since some losses take logarithms and ratios.
Range ScoresOf(v1::Task task) {
  if (task == v1::TASK_POLICY) return {-3, -0.1};
  if (task == v1::TASK_BINARY || HasClasses(task)) return {-4, 4};
  return {0.5, 2};
}

class Maker {
 public:
  Maker(const v1::Loss& loss, const BenchShape& shape, uint64_t seed)
      : loss_(loss),
        info_(InfoOf(loss)),
        shape_(shape),
        predictions_shape_{shape.rows, shape.columns},
        row_shape_(RowShapeOf(loss, v1::SEMANTICS_STRICT, predictions_shape_)),
        random_(seed) {}

  absl::StatusOr<v1::LossItem> Make() {
    v1::LossItem item;
    *item.mutable_loss() = loss_;
    *item.mutable_predictions() = Scores(predictions_shape_);
    bool made_one_of = false;
    for (const v1::InputInfo& input : info_.inputs()) {
      const bool one_of = absl::StrContains(input.summary(), "exactly one of ");
      if (!input.required() && (!one_of || made_one_of)) continue;
      made_one_of |= one_of;
      if (input.shape() != "as predictions" && input.shape() != "rows") {
        return absl::InvalidArgumentError(
            absl::StrCat(info_.name(), " needs ", input.name(), " of shape ",
                         input.shape(), ", which bench does not make"));
      }
      const bool targets = input.name() == "targets";
      v1::Tensor* const tensor =
          targets ? item.mutable_targets()
                  : &(*item.mutable_extra_inputs())[input.name()];
      const std::vector<int64_t>& shape =
          input.shape() == "rows" ? row_shape_ : predictions_shape_;
      *tensor = targets ? Targets(input, shape) : Extra(input, shape);
    }
    return item;
  }

 private:
  v1::Tensor Scores(const std::vector<int64_t>& shape) {
    const Range range = ScoresOf(info_.task());
    std::vector<double> numbers = Uniform(shape, range.low, range.high);
    if (HasClasses(info_.task())) ForEachRow(numbers, BecomeLogProbabilities);
    return Floats(shape, numbers);
  }

  v1::Tensor Targets(const v1::InputInfo& input,
                     const std::vector<int64_t>& shape) {
    if (!absl::StrContains(input.dtypes(), "float")) return Labels(shape);
    const bool signs = absl::StartsWith(input.summary(), "-1 or +1");
    if (!signs && !absl::StartsWith(input.summary(), "in [0, 1]")) {
      return Scores(shape);
    }
    std::vector<double> numbers = Uniform(shape, 0, 1);
    if (signs) {
      BecomeEither(numbers, -1, 1);
    } else if (HasClasses(info_.task())) {
      ForEachRow(numbers, BecomeOneHot);
    } else {
      BecomeEither(numbers, 0, 1);
    }
    return Floats(shape, numbers);
  }

  v1::Tensor Extra(const v1::InputInfo& input,
                   const std::vector<int64_t>& shape) {
    // As advantages are: the sign decides which side of a bound counts.
    if (absl::StrContains(input.summary(), "any sign")) {
      return Floats(shape, Uniform(shape, -1, 1));
    }
    return Scores(shape);
  }

  v1::Tensor Labels(const std::vector<int64_t>& shape) {
    std::string bytes;
    const int64_t size = SizeOf(shape);
    for (int64_t i = 0; i < size; ++i) {
      Append(random_.Below(shape_.columns), &bytes);
    }
    return MakeTensor(v1::DTYPE_INT64, shape, std::move(bytes));
  }

  std::vector<double> Uniform(const std::vector<int64_t>& shape, double low,
                              double high) {
    std::vector<double> numbers(static_cast<size_t>(SizeOf(shape)));
    for (double& number : numbers) number = random_.Uniform(low, high);
    return numbers;
  }

  template <typename Function>
  void ForEachRow(std::vector<double>& numbers, Function function) const {
    const auto columns = static_cast<size_t>(shape_.columns);
    for (size_t i = 0; i < numbers.size(); i += columns) {
      function(std::span(numbers).subspan(i, columns));
    }
  }

  v1::Tensor Floats(const std::vector<int64_t>& shape,
                    std::span<const double> numbers) const {
    return MakeTensor(shape_.dtype, shape, Encode(numbers, shape_.dtype));
  }

  const v1::Loss& loss_;
  const v1::LossInfo& info_;
  const BenchShape shape_;
  const std::vector<int64_t> predictions_shape_;
  const std::vector<int64_t> row_shape_;
  Random random_;
};

}  // namespace

v1::Tensor MakeTensor(v1::Dtype dtype, const std::vector<int64_t>& shape,
                      std::string data) {
  v1::Tensor tensor;
  tensor.set_dtype(dtype);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  tensor.set_data(std::move(data));
  return tensor;
}

void SetNeededOptions(v1::Loss* loss) {
  for (const v1::OptionInfo& option : OptionsOf(*loss)) {
    if (option.optional() || !option.default_value().empty()) continue;
    const std::string value =
        option.allowed_values().empty() ? "1" : option.allowed_values(0);
    // Neither can fail: the name is the loss's, and the value what it allows.
    SetOption(option.name(), value, loss).IgnoreError();
  }
}

absl::StatusOr<v1::LossItem> MakeItem(const v1::Loss& loss,
                                      const BenchShape& shape, uint64_t seed) {
  return Maker(loss, shape, seed).Make();
}

}  // namespace lossd::cli
