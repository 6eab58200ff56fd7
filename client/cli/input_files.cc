#include "client/cli/input_files.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/array_file.h"
#include "client/cli/session.h"
#include "client/client.h"

namespace lossd::cli {

CLI::Option* AddTensorFiles(CLI::App& command, std::string& predictions,
                            std::string& targets) {
  command
      .add_option("--predictions", predictions,
                  "what the model said, .npy or .csv")
      ->type_name("FILE")
      ->required();
  return command.add_option("--targets", targets, "what is true, .npy or .csv")
      ->type_name("FILE")
      ->required();
}
namespace {

// "element 13 (row 1, column 3)" of a matrix; "element 13" of a vector;
// "element 13 (position [0, 1, 3])" of anything with more axes.
std::string ElementText(int64_t index, const std::vector<int64_t>& shape) {
  std::string element = absl::StrCat("element ", index);
  if (shape.size() < 2) return element;
  std::vector<int64_t> position(shape.size());
  int64_t rest = index;
  for (size_t axis = shape.size(); axis-- > 0;) {
    if (shape[axis] == 0) return element;
    position[axis] = rest % shape[axis];
    rest /= shape[axis];
  }
  if (shape.size() > 2) {
    return absl::StrCat(element, " (position ", ShapeText(position), ")");
  }
  return absl::StrCat(element, " (row ", position[0], ", column ", position[1],
                      ")");
}

// The flag for a field that is no file.
std::string FlagOf(const std::vector<std::string>& path) {
  if (path[0] == "extra_inputs" && path.size() > 1) {
    return absl::StrCat("--extra_inputs ", path[1]);
  }
  if (path[0] == "extra_gradients" && path.size() > 1) {
    return absl::StrCat("--extra_gradient_out ", path[1]);
  }
  // Options are "loss.NAME.OPTION".
  const bool nested = (path[0] == "loss" && path.size() > 2) ||
                      (path[0] == "outputs" && path.size() > 1);
  return absl::StrCat("--", nested ? path.back() : path[0]);
}

}  // namespace

absl::Status InputFiles::Read(const std::string& field, const std::string& flag,
                              const std::string& path, CsvElements elements) {
  absl::StatusOr<Array> array = ReadArray(path, elements);
  if (!array.ok()) return Prefixed(flag, array.status());
  inputs_[field] = {flag, *std::move(array)};
  return absl::OkStatus();
}

const Array* InputFiles::Find(const std::string& field) const {
  const auto input = inputs_.find(field);
  return input == inputs_.end() ? nullptr : &input->second.array;
}

std::optional<ArrayView> InputFiles::View(const std::string& field) const {
  const Array* const array = Find(field);
  if (array == nullptr) return std::nullopt;
  return array->View();
}

std::map<std::string, ArrayView> InputFiles::ExtraInputs() const {
  std::map<std::string, ArrayView> views;
  for (const auto& [field, input] : inputs_) {
    const std::vector<std::string> path =
        absl::StrSplit(field, absl::MaxSplits('.', 1));
    if (path[0] == "extra_inputs") views[path[1]] = input.array.View();
  }
  return views;
}

std::string InputFiles::Explain(const v1::FieldViolation& violation) const {
  const std::vector<std::string> path = absl::StrSplit(violation.field(), '.');
  auto input = inputs_.find(path[0]);
  if (path[0] == "extra_inputs" && path.size() > 1) {
    input = inputs_.find(absl::StrCat(path[0], ".", path[1]));
  }
  std::string text = FlagOf(path);
  if (input != inputs_.end()) {
    text = input->second.flag;
    if (path.back() == "shape" || path.back() == "dtype") {
      absl::StrAppend(&text, ": ", path.back());
    }
  }
  if (violation.has_index()) {
    absl::StrAppend(
        &text, ": ",
        ElementText(violation.index(), input != inputs_.end()
                                           ? input->second.array.shape
                                           : std::vector<int64_t>()));
  }
  return absl::StrCat(text, ": got ", violation.got(),
                      ", allowed: ", violation.allowed());
}

std::string InputFiles::Explain(const absl::Status& status) const {
  std::vector<std::string> texts;
  for (const v1::FieldViolation& violation : ViolationsOf(status)) {
    texts.push_back(Explain(violation));
  }
  return texts.empty() ? StatusText(status) : absl::StrJoin(texts, "; ");
}

}  // namespace lossd::cli
