#include <map>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "client/cli/compute_flags.h"
#include "client/cli/compute_outputs.h"
#include "client/cli/input_files.h"
#include "client/cli/json.h"
#include "client/cli/options_reflection.h"
#include "client/cli/subcommand.h"
#include "client/cli/table.h"

namespace lossd::cli {
namespace {

// How the numbers of a CSV file are to be read for a field of LossItem.
CsvElements ElementsOf(const v1::Loss& loss, const std::string& field) {
  if (field == "targets") return CsvElements::kIntegerIfWhole;
  if (field == "mask") return CsvElements::kBool;
  const v1::InputInfo* const input =
      FindInput(loss, field.substr(field.rfind('.') + 1));
  const bool integers =
      input != nullptr && !absl::StrContains(input->dtypes(), "float");
  return integers ? CsvElements::kIntegerIfWhole : CsvElements::kFloat;
}

// "class_weights" is the flag of "extra_inputs.class_weights".
std::string FlagOf(const std::string& field) {
  return absl::StrCat("--", field.substr(field.rfind('.') + 1));
}

absl::Status ReadFiles(const ComputeFlags& flags, const v1::Loss& loss,
                       InputFiles* files) {
  std::map<std::string, std::string> paths = flags.files;
  paths["predictions"] = flags.predictions;
  paths["targets"] = flags.targets;
  for (const auto& [field, path] : paths) {
    if (path.empty()) continue;
    const std::string flag = absl::StrCat(FlagOf(field), " ", path);
    absl::Status status =
        files->Read(field, flag, path, ElementsOf(loss, field));
    if (!status.ok()) return status;
  }
  for (const std::string& input : flags.extra_inputs) {
    const size_t equals = input.find('=');
    if (equals == std::string::npos || equals == 0) {
      return absl::InvalidArgumentError(absl::StrCat(
          "--extra_inputs: got '", input, "', allowed: NAME=FILE"));
    }
    const std::string field =
        absl::StrCat("extra_inputs.", input.substr(0, equals));
    if (files->Find(field) != nullptr) {
      return absl::InvalidArgumentError(
          absl::StrCat("--extra_inputs ", input.substr(0, equals),
                       ": got two files, allowed: one"));
    }
    absl::Status status =
        files->Read(field, absl::StrCat("--extra_inputs ", input),
                    input.substr(equals + 1), ElementsOf(loss, field));
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::StatusOr<v1::Loss> LossOf(const ComputeFlags& flags) {
  absl::StatusOr<v1::Loss> loss = MakeLoss(flags.loss);
  if (!loss.ok()) return Prefixed("--loss", loss.status());
  for (const auto& [name, text] : flags.options) {
    if (text.empty()) continue;
    absl::Status status = SetOption(name, text, &*loss);
    if (!status.ok()) return status;
  }
  return loss;
}

// Sets what is neither loss nor tensor.
absl::Status SetSettings(const ComputeFlags& flags, LossCall* call) {
  call->normalizer = flags.normalizer;
  if (!flags.reduction.empty()) {
    const auto reduction =
        ParseEnum<v1::Reduction>("--reduction", flags.reduction);
    if (!reduction.ok()) return reduction.status();
    call->reduction = *reduction;
  }
  if (!flags.semantics.empty()) {
    const auto semantics =
        ParseEnum<v1::Semantics>("--semantics", flags.semantics);
    if (!semantics.ok()) return semantics.status();
    call->semantics = *semantics;
  }
  call->diagnostics = flags.diagnostics;
  return absl::OkStatus();
}

void SetTensors(const InputFiles& files, LossCall* call) {
  call->predictions = files.View("predictions");
  call->targets = files.View("targets");
  call->sample_weights = files.View("sample_weights");
  call->mask = files.View("mask");
  call->upstream_gradient = files.View("upstream_gradient");
  for (const auto& [name, view] : files.ExtraInputs()) {
    call->extra_inputs[name] = view;
  }
}

void PrintText(const ClientResult& result, const Array& gradient,
               const std::string& numerics_version, std::ostream& out) {
  // Not every server may say what was in force.
  const std::string options =
      result.loss_in_force.kind_case() == v1::Loss::KIND_NOT_SET
          ? ""
          : OptionsText(result.loss_in_force);
  Table table({{""}, {""}});
  table.AddRow({"loss", NumberText(result.loss)});
  table.AddRow({"reduction", ShortName(result.reduction)});
  table.AddRow({"semantics", ShortName(result.semantics)});
  table.AddRow({"options", options.empty() ? "none" : options});
  table.AddRow({"normalizer", NumberText(result.normalizer)});
  table.AddRow({"loss_sum", NumberText(result.loss_sum)});
  table.AddRow({"weight_sum", NumberText(result.weight_sum)});
  table.AddRow({"row_count", absl::StrCat(result.row_count)});
  table.AddRow({"masked_count", absl::StrCat(result.masked_count)});
  table.AddRow({"ignored_count", absl::StrCat(result.ignored_count)});
  table.AddRow({"clipped_count", absl::StrCat(result.clipped_count)});
  table.AddRow({"gradient_norm", NumberText(EuclideanNorm(gradient))});
  for (const auto& [name, value] : result.diagnostics) {
    if (name != "clipped_count") table.AddRow({name, NumberText(value)});
  }
  table.AddRow({"numerics_version", numerics_version});
  table.Print(out);
  for (const std::string& warning : result.warnings) {
    out << "warning: " << warning << '\n';
  }
}

int Report(const ClientResult& result, const Array& gradient,
           const std::string& numerics_version, const Session& session) {
  if (session.json()) {
    Json json = ToJson(result, gradient);
    json["numerics_version"] = numerics_version;
    Print(json, session.out);
  } else {
    PrintText(result, gradient, numerics_version, session.out);
  }
  return kOk;
}

int RunCompute(const ComputeFlags& flags, const Session& session) {
  const absl::StatusOr<v1::Loss> loss = LossOf(flags);
  if (!loss.ok()) return Fail(session, kUsage, loss.status());
  LossCall call;
  call.loss = *loss;
  InputFiles files;
  ComputeOutputs outputs;
  absl::Status status = SetSettings(flags, &call);
  if (status.ok()) status = outputs.Read(flags);
  if (status.ok()) status = ReadFiles(flags, *loss, &files);
  if (status.ok()) {
    SetTensors(files, &call);
    status = outputs.Allocate(*files.Find("predictions"), &call);
  }
  if (!status.ok()) return Fail(session, kUsage, status);

  const absl::StatusOr<Client> client = Connect(session);
  if (!client.ok()) return Fail(session, kFailed, client.status());
  absl::StatusOr<ClientResult> result = client->Compute(call);
  // Request or reply are larger than a message.
  std::string why_chunks;
  if (absl::IsResourceExhausted(result.status())) {
    why_chunks = absl::StrCat(" (in chunks, since ",
                              std::string(result.status().message()), ")");
    result = client->ComputeChunked(call);
  }
  if (!result.ok()) {
    return Fail(session, kFailed,
                absl::StrCat(files.Explain(result.status()), why_chunks));
  }
  status = outputs.Write();
  if (!status.ok()) return Fail(session, kFailed, status);
  return Report(*result, outputs.gradient(), client->numerics_version(),
                session);
}

}  // namespace

Subcommand AddCompute(CLI::App& app, const std::string& loss_name) {
  CLI::App* const command =
      app.add_subcommand("compute", "Compute a loss and its gradient");
  const auto flags = std::make_shared<ComputeFlags>();
  AddGeneralFlags(*command, *flags);
  absl::StatusOr<v1::Loss> loss = MakeLoss(loss_name);
  if (loss.ok()) {
    AddLossFlags(*command, *loss, *flags);
  } else {
    command->footer(
        "The options of a loss are flags too: "
        "lossctl compute --loss NAME --help");
  }
  const auto explain = [loss](const std::string& flag) {
    if (!loss.ok()) {
      return std::string(Prefixed("--loss", loss.status()).message());
    }
    v1::Loss any = *loss;
    // It has no such option, or the flag would be known.
    return std::string(
        SetOption(flag.substr(flag.find_first_not_of('-')), "", &any)
            .message());
  };
  return {
      command,
      [flags](const Session& session) { return RunCompute(*flags, session); },
      explain};
}

}  // namespace lossd::cli
