#include "client/cli/compute_outputs.h"

#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/array_file.h"
#include "client/cli/row_shape.h"
#include "client/cli/session.h"

namespace lossd::cli {
namespace {

constexpr v1::Dtype kFloats[] = {v1::DTYPE_FLOAT32, v1::DTYPE_FLOAT64,
                                 v1::DTYPE_FLOAT16, v1::DTYPE_BFLOAT16};

// What follows the "=" of an input NAME=FILE that has been read.
std::string PathOf(const std::string& input) {
  return input.substr(input.find('=') + 1);
}

// Every file that is read, by its flag.
std::vector<std::pair<std::string, std::string>> Inputs(
    const ComputeFlags& flags) {
  std::vector<std::pair<std::string, std::string>> inputs = {
      {"--predictions", flags.predictions}, {"--targets", flags.targets}};
  for (const auto& [field, path] : flags.files) {
    inputs.emplace_back(absl::StrCat("--", field.substr(field.rfind('.') + 1)),
                        path);
  }
  for (const std::string& input : flags.extra_inputs) {
    inputs.emplace_back("--extra_inputs", PathOf(input));
  }
  return inputs;
}

absl::StatusOr<v1::Dtype> GradientDtype(const std::string& name,
                                        const Array& predictions) {
  for (const v1::Dtype dtype : kFloats) {
    if (name.empty() ? predictions.dtype == dtype
                     : absl::EqualsIgnoreCase(name, DtypeName(dtype))) {
      return dtype;
    }
  }
  // Predictions that are no floats are the server's to refuse.
  if (name.empty()) return v1::DTYPE_FLOAT32;
  return absl::InvalidArgumentError(
      absl::StrCat("--gradient_dtype: got '", name,
                   "', allowed: float32, float64, float16, bfloat16"));
}

}  // namespace

absl::Status ComputeOutputs::Read(const ComputeFlags& flags) {
  gradient_dtype_ = flags.gradient_dtype;
  gradient_file_ = {"--gradient_out", flags.gradient_out};
  row_losses_file_ = {"--row_losses_out", flags.row_losses_out};
  for (const std::string& output : flags.extra_gradients_out) {
    const size_t equals = output.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--extra_gradient_out: got '", output, "', allowed: NAME=FILE"));
    }
    const std::string name = output.substr(0, equals);
    const std::string flag = absl::StrCat("--extra_gradient_out ", name);
    if (!extra_files_.insert({name, {flag, PathOf(output)}}).second) {
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": given twice, allowed: once for each name"));
    }
  }
  return CheckFiles(flags);
}

absl::Status ComputeOutputs::CheckFiles(const ComputeFlags& flags) const {
  std::vector<File> files = {gradient_file_};
  for (const auto& [name, file] : extra_files_) files.push_back(file);
  files.push_back(row_losses_file_);
  std::vector<std::pair<std::string, std::string>> taken = Inputs(flags);
  for (const auto& [flag, path] : files) {
    if (path.empty() && !absl::StartsWith(flag, "--extra")) continue;
    absl::Status status = CheckOutput(path);
    if (!status.ok()) return Prefixed(absl::StrCat(flag, " ", path), status);
    for (const auto& [other, other_path] : taken) {
      if (other_path.empty() || !SameFile(path, other_path)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat(flag, ": got ", path,
                       ", allowed: another file than that of ", other));
    }
    taken.emplace_back(flag, path);
  }
  return absl::OkStatus();
}

absl::Status ComputeOutputs::Allocate(const Array& predictions,
                                      LossCall* call) {
  const absl::StatusOr<v1::Dtype> dtype =
      GradientDtype(gradient_dtype_, predictions);
  if (!dtype.ok()) return dtype.status();
  gradient_ = Zeros(*dtype, predictions.shape);
  call->gradient = MutableView(gradient_);
  for (const auto& [name, file] : extra_files_) {
    Array& gradient = extra_gradients_[name] = gradient_;
    call->extra_gradients[name] = MutableView(gradient);
  }
  if (row_losses_file_.path.empty()) return absl::OkStatus();
  row_shape_ = RowShapeOf(call->loss, call->semantics, predictions.shape);
  row_losses_.resize(static_cast<size_t>(SizeOf(row_shape_)));
  call->row_losses = row_losses_;
  return absl::OkStatus();
}

absl::Status ComputeOutputs::Write(const File& file, const Array& array) {
  const absl::Status status = WriteArray(file.path, array);
  return status.ok()
             ? status
             : Prefixed(absl::StrCat(file.flag, " ", file.path), status);
}

absl::Status ComputeOutputs::Write() const {
  absl::Status status;
  if (!gradient_file_.path.empty()) status = Write(gradient_file_, gradient_);
  for (const auto& [name, file] : extra_files_) {
    if (status.ok()) status = Write(file, extra_gradients_.at(name));
  }
  if (row_losses_file_.path.empty() || !status.ok()) return status;
  Array array = Zeros(v1::DTYPE_FLOAT64, row_shape_);
  // An empty vector may have no data, which memcpy does not take.
  if (!row_losses_.empty()) {
    std::memcpy(array.data.data(), row_losses_.data(), array.data.size());
  }
  return Write(row_losses_file_, array);
}

}  // namespace lossd::cli
