#include "client/cli/compute_flags.h"

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/input_files.h"
#include "client/cli/options_reflection.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd::cli {
namespace {

void AddTensorFlags(CLI::App& command, ComputeFlags& flags) {
  const auto file = [&command](const std::string& flag, std::string& path,
                               const std::string& text) {
    return command.add_option(flag, path, text)->type_name("FILE");
  };
  AddTensorFiles(command, flags.predictions, flags.targets)
      ->required(false)
      ->description("what is true, .npy or .csv; some losses have none");
  file("--sample_weights", flags.files["sample_weights"],
       "a weight for each row");
  file("--mask", flags.files["mask"], "which rows count: bool, in CSV 0 and 1");
  file("--upstream_gradient", flags.files["upstream_gradient"],
       "factor of the gradient: one, or with --reduction NONE one a row");
  command
      .add_option("--extra_inputs", flags.extra_inputs,
                  "a further tensor of the loss, by its name; repeatable")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
}

void AddSettingFlags(CLI::App& command, ComputeFlags& flags) {
  const auto names = [](const auto* descriptor) {
    return absl::StrJoin(ShortNames(descriptor), ", ");
  };
  command
      .add_option(
          "--reduction", flags.reduction,
          absl::StrCat(names(v1::Reduction_descriptor()),
                       "; default MEAN, for labels with class_weights and "
                       "--semantics PYTORCH WEIGHTED_MEAN"))
      ->type_name("NAME");
  command
      .add_option("--normalizer", flags.normalizer,
                  "divisor of MEAN instead of the number of rows, > 0")
      ->type_name("NUMBER");
  command
      .add_option(
          "--semantics", flags.semantics,
          absl::StrCat(names(v1::Semantics_descriptor()), "; default STRICT"))
      ->type_name("NAME");
  command
      .add_option("--gradient_dtype", flags.gradient_dtype,
                  "float32, float64, float16 or bfloat16; default: that of the "
                  "predictions")
      ->type_name("NAME");
  command
      .add_option("--gradient_out", flags.gradient_out,
                  "write the gradient there, .npy")
      ->type_name("FILE");
  command
      .add_option("--extra_gradient_out", flags.extra_gradients_out,
                  "write the gradient of a further tensor there, .npy, by the "
                  "tensor's name; repeatable")
      ->type_name("NAME=FILE")
      ->allow_extra_args(false);
  command
      .add_option("--row_losses_out", flags.row_losses_out,
                  "write the loss of each row there, .npy")
      ->type_name("FILE");
  command.add_flag(
      "--diagnostics", flags.diagnostics,
      "also print figures such as accuracy, and look for mistakes");
}

std::string TypeName(const v1::OptionInfo& option) {
  if (option.type() == "enum") return "NAME";
  return option.type() == "bool" ? "true|false" : "NUMBER";
}

}  // namespace

void AddGeneralFlags(CLI::App& command, ComputeFlags& flags) {
  command.add_option("--loss", flags.loss, "full or short name: huber, mse")
      ->type_name("NAME")
      ->required();
  AddTensorFlags(command, flags);
  AddSettingFlags(command, flags);
}

void AddLossFlags(CLI::App& command, const v1::Loss& loss,
                  ComputeFlags& flags) {
  const std::string group = "Options of " + InfoOf(loss).name();
  for (const v1::OptionInfo& option : OptionsOf(loss)) {
    const std::string allowed = AllowedText(option);
    std::string text = option.summary();
    for (const std::string& part : {allowed, DefaultText(option)}) {
      // Some summaries say so themselves.
      if (!part.empty() && !absl::StrContains(text, part)) {
        absl::StrAppend(&text, "; ", part);
      }
    }
    command
        .add_option("--" + option.name(), flags.options[option.name()], text)
        ->type_name(TypeName(option))
        ->group(group);
  }
  for (const v1::InputInfo& input : InfoOf(loss).inputs()) {
    if (input.name() == "targets" || flags.options.count(input.name()) > 0) {
      continue;
    }
    command
        .add_option("--" + input.name(),
                    flags.files["extra_inputs." + input.name()],
                    absl::StrCat(input.shape(), ": ", input.summary(),
                                 input.differentiable()
                                     ? "; has a gradient: --extra_gradient_out"
                                     : ""))
        ->type_name("FILE")
        ->group(group);
  }
}

}  // namespace lossd::cli
