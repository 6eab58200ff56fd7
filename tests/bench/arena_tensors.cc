#include "tests/bench/arena_tensors.h"

#include <algorithm>
#include <cstring>
#include <random>
#include <span>
#include <utility>

namespace lossd::bench {
namespace {

// What alignment may take of an arena with three arrays.
constexpr size_t kSlack = size_t{3} * 64;

}  // namespace

absl::StatusOr<std::unique_ptr<ArenaTensors>> ArenaTensors::Make(
    const Client& client, const std::string& loss, size_t rows,
    size_t columns) {
  const bool has_labels = columns > 1;
  const Sizes sizes = {
      .predictions = rows * columns * sizeof(float),
      .targets = rows * (has_labels ? sizeof(int64_t) : sizeof(float))};
  auto arena =
      client.CreateArena(2 * sizes.predictions + sizes.targets + kSlack);
  if (!arena.ok()) return arena.status();
  std::unique_ptr<ArenaTensors> tensors(
      new ArenaTensors(client, *std::move(arena), sizes));
  const absl::Status filled = tensors->Fill(loss, rows, columns);
  if (!filled.ok()) return filled;
  return tensors;
}

ArenaTensors::ArenaTensors(const Client& client, ClientArena arena,
                           const Sizes& sizes)
    : client_(client),
      arena_(std::move(arena)),
      predictions_(sizes.predictions),
      targets_(sizes.targets),
      gradient_(sizes.predictions) {}

absl::Status ArenaTensors::Fill(const std::string& loss, size_t rows,
                                size_t columns) {
  const auto row_count = static_cast<int64_t>(rows);
  const auto column_count = static_cast<int64_t>(columns);
  const size_t elements = rows * columns;
  std::minstd_rand random;
  std::uniform_real_distribution<float> uniform(-3, 3);
  std::generate_n(predictions_.as<float>(), elements,
                  [&] { return uniform(random); });
  const auto predictions = arena_.Allocate<float>(elements);
  const auto gradient = arena_.Allocate<float>(elements);
  if (!predictions.ok()) return predictions.status();
  if (!gradient.ok()) return gradient.status();
  std::copy_n(predictions_.as<float>(), elements, predictions->begin());
  shape_ = target_shape_ = {row_count};
  call_.gradient = MutableViewOf(*gradient);
  if (loss == "sparse_categorical_cross_entropy") {
    std::uniform_int_distribution<int64_t> classes(0, column_count - 1);
    std::generate_n(targets_.as<int64_t>(), rows,
                    [&] { return classes(random); });
    const auto targets = arena_.Allocate<int64_t>(rows);
    if (!targets.ok()) return targets.status();
    std::copy_n(targets_.as<int64_t>(), rows, targets->begin());
    shape_.push_back(column_count);
    call_.targets = ViewOf(*targets);
    call_.loss.mutable_sparse_categorical_cross_entropy()->set_prediction_kind(
        v1::PREDICTION_KIND_LOGITS);
    spec_.params = SparseCategoricalCrossEntropyParams{
        .prediction_kind = PredictionKind::kLogits};
  } else {
    std::generate_n(targets_.as<float>(), elements,
                    [&] { return uniform(random); });
    const auto targets = arena_.Allocate<float>(elements);
    if (!targets.ok()) return targets.status();
    std::copy_n(targets_.as<float>(), elements, targets->begin());
    call_.targets = ViewOf(*targets);
    call_.loss.mutable_mean_squared_error();
    spec_.params = MeanSquaredErrorParams{};
  }
  call_.predictions = ViewOf(*predictions, shape_);
  return absl::OkStatus();
}

absl::Status ArenaTensors::CallServer() {
  const auto result = client_.Compute(call_);
  if (result.ok()) server_loss_ = result->loss;
  return result.status();
}

absl::Status ArenaTensors::CallLibrary(int threads) {
  const bool has_labels = shape_.size() > 1;
  const Inputs inputs{
      .predictions = {Dtype::kFloat32, shape_, predictions_.span()},
      .targets = {has_labels ? Dtype::kInt64 : Dtype::kFloat32, target_shape_,
                  targets_.span()}};
  const auto result =
      Compute(spec_, inputs, {.gradient = gradient_.span()}, threads);
  if (result.ok()) library_loss_ = result->loss;
  return result.status();
}

absl::Status ArenaTensors::Compare(int threads) {
  absl::Status status = CallServer();
  if (status.ok()) status = CallLibrary(threads);
  if (!status.ok()) return status;
  // A fast wrong answer is no answer.
  if (server_loss_ == library_loss_ &&
      std::memcmp(call_.gradient.data, gradient_.span().data(),
                  call_.gradient.bytes) == 0) {
    return absl::OkStatus();
  }
  return absl::InternalError("lossd and the library do not agree");
}

}  // namespace lossd::bench
