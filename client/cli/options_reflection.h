// What the linked loss messages say of themselves: names, options, enums.
// Nothing here needs a server, and nothing here knows a loss by name: a new
// message of Loss is a new loss of lossctl.

#ifndef LOSSD_CLIENT_CLI_OPTIONS_REFLECTION_H_
#define LOSSD_CLIENT_CLI_OPTIONS_REFLECTION_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/generated_enum_reflection.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "lossd/v1/loss_info.pb.h"
#include "lossd/v1/losses.pb.h"

namespace lossd::cli {

// Every loss, without options set, in the order of losses.proto.
std::vector<v1::Loss> AllLosses();

// The loss of this name, full or short, in any case. INVALID_ARGUMENT, listing
// the names, if there is none.
absl::StatusOr<v1::Loss> MakeLoss(const std::string& name);

// What the message of the loss says of it; `options` is empty. Valid for ever.
// Requires a loss of AllLosses().
const v1::LossInfo& InfoOf(const v1::Loss& loss);

// The options of the loss, name and type filled in, in the order of its
// message. Requires a loss of AllLosses().
std::vector<v1::OptionInfo> OptionsOf(const v1::Loss& loss);

// Whether the loss has an option of this name. Requires a loss of AllLosses().
bool HasOption(const v1::Loss& loss, const std::string& name);

// What the message of the loss says of an input, or null if the loss has none
// of this name. Valid for ever. Requires a loss of AllLosses().
const v1::InputInfo* FindInput(const v1::Loss& loss, const std::string& name);

// Sets an option from text. Enums are given by their short names, bools as true
// and false, in any case.
// INVALID_ARGUMENT, naming what is allowed, for an option that the loss does
// not have or a text that is no value of its type. The range is the server's
// business. Messages begin with "--NAME". Requires a loss of AllLosses().
absl::Status SetOption(const std::string& name, const std::string& text,
                       v1::Loss* loss);

// The value of an option as text, if it is set.
std::optional<std::string> OptionText(const v1::Loss& loss,
                                      const std::string& name);

// "delta=1 label_smoothing=0.1": all options that are set.
std::string OptionsText(const v1::Loss& loss);

// What an option may be: "> 0", ">= 0 and <= 1", "LOGITS, PROBABILITIES", or
// empty.
std::string AllowedText(const v1::OptionInfo& option);

// "default 1", "must be set" or "optional".
std::string DefaultText(const v1::OptionInfo& option);

// The short names of an enum's values: without the enum's own name, and
// without UNSPECIFIED.
std::vector<std::string> ShortNames(
    const google::protobuf::EnumDescriptor* descriptor);

// The short name of a value; empty for UNSPECIFIED and numbers without name.
std::string ShortName(const google::protobuf::EnumDescriptor* descriptor,
                      int number);

// The value with this short name, in any case.
std::optional<int> ParseShortName(
    const google::protobuf::EnumDescriptor* descriptor,
    const std::string& text);

// The same for an enum type: ShortName(v1::REDUCTION_MEAN) is "MEAN".
template <typename Enum>
std::string ShortName(Enum value) {
  return ShortName(google::protobuf::GetEnumDescriptor<Enum>(), value);
}

// INVALID_ARGUMENT, naming the flag and what is allowed, for unknown names.
template <typename Enum>
absl::StatusOr<Enum> ParseEnum(const std::string& flag,
                               const std::string& text) {
  const auto* const descriptor = google::protobuf::GetEnumDescriptor<Enum>();
  const std::optional<int> number = ParseShortName(descriptor, text);
  if (number) return static_cast<Enum>(*number);
  std::string message = flag + ": got '" + text + "', allowed:";
  const char* separator = " ";
  for (const std::string& name : ShortNames(descriptor)) {
    message += separator + name;
    separator = ", ";
  }
  return absl::InvalidArgumentError(message);
}

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_OPTIONS_REFLECTION_H_
