#include "client/cli/verify_cases.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "client/cli/array_file.h"
#include "client/cli/json.h"
#include "client/cli/options_reflection.h"
#include "client/cli/session.h"

namespace lossd::cli {
namespace {

absl::Status ReadInput(const Json& json, const std::string& name,
                       const std::filesystem::path& folder, InputFiles* files) {
  if (!json.contains(name)) return absl::OkStatus();
  const std::string path = (folder / json.at(name).get<std::string>()).string();
  return files->Read(name, absl::StrCat(name, " ", path), path,
                     CsvElements::kIntegerIfWhole);
}

absl::StatusOr<v1::Loss> ReadLoss(const Json& json) {
  absl::StatusOr<v1::Loss> loss = MakeLoss(json.at("loss"));
  if (!loss.ok()) return loss;
  for (const auto& [name, value] : json.at("options").items()) {
    const std::string text =
        value.is_string() ? value.get<std::string>() : value.dump();
    absl::Status status = SetOption(name, text, &*loss);
    if (!status.ok()) return status;
  }
  return loss;
}

// Throws nlohmann's exceptions for members that are missing or of other types.
absl::StatusOr<VerifyCase> ReadCase(const Json& json,
                                    const std::filesystem::path& folder) {
  VerifyCase result;
  result.id = json.at("id");
  absl::StatusOr<v1::Loss> loss = ReadLoss(json);
  if (!loss.ok()) return loss.status();
  result.loss = *std::move(loss);
  const auto reduction =
      ParseEnum<v1::Reduction>("reduction", json.at("reduction"));
  if (!reduction.ok()) return reduction.status();
  result.reduction = *reduction;
  result.expected_loss = json.at("expected_loss");
  result.expected_rows = json.at("rows");
  for (const char* name : {"predictions", "targets", "sample_weights"}) {
    absl::Status status = ReadInput(json, name, folder, &result.files);
    if (!status.ok()) return status;
  }
  const Array* const predictions = result.files.Find("predictions");
  if (predictions == nullptr || result.files.Find("targets") == nullptr) {
    return absl::InvalidArgumentError("has no predictions or no targets");
  }
  const std::string gradient = json.at("expected_gradient");
  absl::StatusOr<Array> expected =
      ReadArray((folder / gradient).string(), CsvElements::kFloat);
  if (!expected.ok()) return Prefixed(gradient, expected.status());
  if (expected->shape != predictions->shape) {
    return absl::InvalidArgumentError(absl::StrCat(
        gradient, ": got shape ", ShapeText(expected->shape),
        ", allowed: ", ShapeText(predictions->shape), " as the predictions"));
  }
  result.expected_gradient = *std::move(expected);
  return result;
}

}  // namespace

absl::StatusOr<std::vector<VerifyCase>> ReadCases(const std::string& path,
                                                  bool all) {
  const std::string flag = absl::StrCat("--cases ", path);
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return Prefixed(flag, text.status());
  std::vector<VerifyCase> cases;
  try {
    const Json json = Json::parse(*text);
    for (const Json& entry : json) {
      if (!all && !entry.value("quickstart", false)) continue;
      absl::StatusOr<VerifyCase> read =
          ReadCase(entry, std::filesystem::path(path).parent_path());
      if (!read.ok()) {
        return Prefixed(absl::StrCat(flag, ": case ", entry.at("id").dump()),
                        read.status());
      }
      cases.push_back(*std::move(read));
    }
  } catch (const Json::exception& error) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", error.what()));
  }
  if (cases.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        flag, ": holds no case", all ? "" : " for the quickstart"));
  }
  return cases;
}

double RelativeDifference(double got, double expected) {
  if (got == expected) return 0;
  return std::abs(got - expected) / std::abs(expected);
}

double GradientDifference(const Array& got, const Array& expected) {
  double largest = 0;
  double difference = 0;
  for (int64_t i = 0; i < expected.Size(); ++i) {
    largest = std::max(largest, std::abs(expected.Number(i)));
    const double here = std::abs(got.Number(i) - expected.Number(i));
    if (std::isnan(here)) return std::numeric_limits<double>::infinity();
    difference = std::max(difference, here);
  }
  return difference == 0 ? 0 : difference / largest;
}

}  // namespace lossd::cli
