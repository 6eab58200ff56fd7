#include "client/cli/compare_candidates.h"

#include <algorithm>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "client/cli/options_reflection.h"
#include "client/cli/prediction_kind.h"
#include "client/cli/session.h"
#include "client/cli/tensor_facts.h"

namespace lossd::cli {
namespace {

struct Sweep {
  std::string option;
  std::vector<std::string> values;
};

bool HasClasses(const v1::Loss& loss) {
  const v1::Task task = InfoOf(loss).task();
  return task == v1::TASK_MULTICLASS || task == v1::TASK_DISTRIBUTION;
}

absl::StatusOr<Sweep> ParseSweep(const std::string& text) {
  const std::vector<std::string> parts =
      absl::StrSplit(text, absl::MaxSplits('=', 1));
  Sweep sweep{parts[0], {}};
  if (parts.size() == 2) {
    sweep.values = absl::StrSplit(parts[1], ',', absl::SkipWhitespace());
  }
  if (sweep.values.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--sweep: got '", text, "', allowed: OPTION=VALUE,VALUE,..."));
  }
  std::set<std::string> names;
  for (const v1::Loss& loss : AllLosses()) {
    for (const auto& option : OptionsOf(loss)) names.insert(option.name());
  }
  if (names.count(sweep.option) == 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("--sweep: no loss has the option '", sweep.option,
                     "', allowed: ", absl::StrJoin(names, ", ")));
  }
  return sweep;
}

// `loss` with the option set to each value in turn.
absl::StatusOr<std::vector<Candidate>> Swept(const v1::Loss& loss,
                                             const Sweep& sweep) {
  std::vector<Candidate> candidates;
  for (const std::string& value : sweep.values) {
    candidates.push_back({loss});
    const absl::Status status =
        SetOption(sweep.option, value, &candidates.back().loss);
    if (!status.ok()) return Prefixed("--sweep", status);
  }
  return candidates;
}

// Why the loss is not worth asking for; empty if it is.
std::string WhyNot(const v1::Loss& loss, const Array& predictions) {
  std::vector<std::string> missing;
  bool takes_targets = false;
  for (const v1::InputInfo& input : InfoOf(loss).inputs()) {
    takes_targets |= input.name() == "targets";
    if (input.required() && input.name() != "targets") {
      missing.push_back(input.name());
    }
  }
  if (!missing.empty()) {
    return absl::StrCat("it needs ", absl::StrJoin(missing, ", "),
                        " as well: lossctl compute");
  }
  if (!takes_targets) return "it has no targets";
  if (HasClasses(loss) && predictions.RowLength() < 2) {
    return absl::StrCat(
        "it needs a last axis of at least two classes, the predictions are ",
        ShapeText(predictions.shape));
  }
  if (loss.has_nll()) {
    const KindJudgement judgement = JudgePredictionKind(predictions, true);
    if (judgement.kind != v1::PREDICTION_KIND_LOG_PROBABILITIES) {
      return absl::StrCat("it needs log-probabilities: ", judgement.evidence);
    }
  }
  return "";
}

// Sets what the tensors, or the flag, say of an option.
absl::Status SetSuggested(const Array& predictions, const Array& targets,
                          const std::string& prediction_kind, v1::Loss* loss) {
  if (HasOption(*loss, "prediction_kind")) {
    const std::string kind =
        prediction_kind.empty()
            ? ShortName(
                  JudgePredictionKind(predictions, HasClasses(*loss)).kind)
            : prediction_kind;
    absl::Status status = SetOption("prediction_kind", kind, loss);
    if (!status.ok()) return status;
  }
  if (HasOption(*loss, "label_encoding") && FactsOf(targets).only_zero_one) {
    return SetOption("label_encoding", "ZERO_ONE", loss);
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Candidates> FindCandidates(
    const Array& predictions, const Array& targets,
    const std::string& prediction_kind,
    const std::vector<std::string>& sweeps) {
  std::vector<Sweep> parsed;
  for (const std::string& text : sweeps) {
    absl::StatusOr<Sweep> sweep = ParseSweep(text);
    if (!sweep.ok()) return sweep.status();
    parsed.push_back(*std::move(sweep));
  }
  Candidates result;
  for (v1::Loss& loss : AllLosses()) {
    std::string why_not = WhyNot(loss, predictions);
    if (!why_not.empty()) {
      result.misfits.push_back({InfoOf(loss).name(), std::move(why_not)});
      continue;
    }
    absl::Status status =
        SetSuggested(predictions, targets, prediction_kind, &loss);
    if (!status.ok()) return status;
    bool swept = false;
    for (const Sweep& sweep : parsed) {
      if (!HasOption(loss, sweep.option)) continue;
      absl::StatusOr<std::vector<Candidate>> candidates = Swept(loss, sweep);
      if (!candidates.ok()) return candidates.status();
      result.candidates.insert(result.candidates.end(), candidates->begin(),
                               candidates->end());
      swept = true;
    }
    if (!swept) result.candidates.push_back({std::move(loss)});
  }
  return result;
}

}  // namespace lossd::cli
