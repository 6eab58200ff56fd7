#include "client/cli/options_reflection.h"

#include <google/protobuf/message.h>

#include <cctype>
#include <charconv>
#include <cstdint>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "client/cli/table.h"

namespace lossd::cli {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

// The member of Loss.kind that is set.
const FieldDescriptor* Member(const v1::Loss& loss) {
  return v1::Loss::GetReflection()->GetOneofFieldDescriptor(
      loss, v1::Loss::descriptor()->FindOneofByName("kind"));
}

const Message& MessageOf(const v1::Loss& loss) {
  return v1::Loss::GetReflection()->GetMessage(loss, Member(loss));
}

bool IsOption(const FieldDescriptor* field) {
  return field->options().HasExtension(v1::option);
}

std::string TypeName(const FieldDescriptor* field) {
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return "enum";
    case FieldDescriptor::CPPTYPE_INT64:
      return "int64";
    case FieldDescriptor::CPPTYPE_BOOL:
      return "bool";
    default:
      return "double";
  }
}

// The enum's name as its values begin with it: PredictionKind,
// PREDICTION_KIND_.
std::string ValuePrefix(const EnumDescriptor* descriptor) {
  std::string prefix;
  for (const char letter : descriptor->name()) {
    if (absl::ascii_isupper(static_cast<unsigned char>(letter)) &&
        !prefix.empty()) {
      prefix.push_back('_');
    }
    prefix.push_back(absl::ascii_toupper(static_cast<unsigned char>(letter)));
  }
  return prefix + "_";
}

// The whole of `text` as a number.
template <typename T>
std::optional<T> ParseNumber(const std::string& text) {
  T value = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

std::optional<bool> ParseBool(const std::string& text) {
  if (absl::EqualsIgnoreCase(text, "true")) return true;
  if (absl::EqualsIgnoreCase(text, "false")) return false;
  return std::nullopt;
}

absl::Status BadValue(const v1::OptionInfo& option, const std::string& text,
                      const std::string& kind) {
  const std::string allowed = AllowedText(option);
  return absl::InvalidArgumentError(
      absl::StrCat("--", option.name(), ": got '", text, "', allowed: ", kind,
                   kind.empty() || allowed.empty() ? "" : " ", allowed));
}

}  // namespace

std::vector<v1::Loss> AllLosses() {
  std::vector<v1::Loss> losses;
  const auto* const kind = v1::Loss::descriptor()->FindOneofByName("kind");
  for (int i = 0; i < kind->field_count(); ++i) {
    const FieldDescriptor* const member = kind->field(i);
    if (!member->message_type()->options().HasExtension(v1::loss)) continue;
    v1::Loss loss;
    v1::Loss::GetReflection()->MutableMessage(&loss, member);
    losses.push_back(std::move(loss));
  }
  return losses;
}

absl::StatusOr<v1::Loss> MakeLoss(const std::string& name) {
  std::vector<std::string> names;
  for (v1::Loss& loss : AllLosses()) {
    const v1::LossInfo& info = InfoOf(loss);
    if (absl::EqualsIgnoreCase(name, info.name())) return std::move(loss);
    for (const std::string& alias : info.aliases()) {
      if (absl::EqualsIgnoreCase(name, alias)) return std::move(loss);
    }
    names.push_back(info.name());
  }
  return absl::InvalidArgumentError(absl::StrCat(
      "unknown loss '", name, "', allowed: ", absl::StrJoin(names, ", ")));
}

const v1::LossInfo& InfoOf(const v1::Loss& loss) {
  return Member(loss)->message_type()->options().GetExtension(v1::loss);
}

std::vector<v1::OptionInfo> OptionsOf(const v1::Loss& loss) {
  std::vector<v1::OptionInfo> options;
  const auto* const message = Member(loss)->message_type();
  for (int i = 0; i < message->field_count(); ++i) {
    const FieldDescriptor* const field = message->field(i);
    if (!IsOption(field)) continue;
    v1::OptionInfo option = field->options().GetExtension(v1::option);
    option.set_name(field->name());
    option.set_type(TypeName(field));
    options.push_back(std::move(option));
  }
  return options;
}

bool HasOption(const v1::Loss& loss, const std::string& name) {
  const FieldDescriptor* const field =
      Member(loss)->message_type()->FindFieldByName(name);
  return field != nullptr && IsOption(field);
}

const v1::InputInfo* FindInput(const v1::Loss& loss, const std::string& name) {
  for (const v1::InputInfo& input : InfoOf(loss).inputs()) {
    if (input.name() == name) return &input;
  }
  return nullptr;
}

absl::Status SetOption(const std::string& name, const std::string& text,
                       v1::Loss* loss) {
  const FieldDescriptor* const member = Member(*loss);
  const FieldDescriptor* const field =
      member->message_type()->FindFieldByName(name);
  if (!HasOption(*loss, name)) {
    std::vector<std::string> names;
    for (const v1::OptionInfo& option : OptionsOf(*loss)) {
      names.push_back("--" + option.name());
    }
    return absl::InvalidArgumentError(absl::StrCat(
        "--", name, ": no option of ", member->name(), ", which has ",
        names.empty() ? "none" : absl::StrJoin(names, ", ")));
  }
  v1::OptionInfo option = field->options().GetExtension(v1::option);
  option.set_name(name);
  Message* const message =
      v1::Loss::GetReflection()->MutableMessage(loss, member);
  const Reflection* const reflection = message->GetReflection();
  if (field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM) {
    const std::optional<int> value = ParseShortName(field->enum_type(), text);
    if (!value) return BadValue(option, text, "");
    reflection->SetEnumValue(message, field, *value);
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_INT64) {
    const std::optional<int64_t> value = ParseNumber<int64_t>(text);
    if (!value) return BadValue(option, text, "a whole number");
    reflection->SetInt64(message, field, *value);
  } else if (field->cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
    const std::optional<bool> value = ParseBool(text);
    if (!value) return BadValue(option, text, "true or false");
    reflection->SetBool(message, field, *value);
  } else {
    const std::optional<double> value = ParseNumber<double>(text);
    if (!value) return BadValue(option, text, "a number");
    reflection->SetDouble(message, field, *value);
  }
  return absl::OkStatus();
}

std::optional<std::string> OptionText(const v1::Loss& loss,
                                      const std::string& name) {
  const Message& message = MessageOf(loss);
  const Reflection* const reflection = message.GetReflection();
  const FieldDescriptor* const field =
      message.GetDescriptor()->FindFieldByName(name);
  if (field == nullptr || !reflection->HasField(message, field)) {
    return std::nullopt;
  }
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_ENUM:
      return ShortName(field->enum_type(),
                       reflection->GetEnumValue(message, field));
    case FieldDescriptor::CPPTYPE_INT64:
      return absl::StrCat(reflection->GetInt64(message, field));
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(message, field) ? "true" : "false";
    default:
      return ExactText(reflection->GetDouble(message, field));
  }
}

std::string OptionsText(const v1::Loss& loss) {
  std::vector<std::string> texts;
  for (const v1::OptionInfo& option : OptionsOf(loss)) {
    const std::optional<std::string> value = OptionText(loss, option.name());
    if (value) texts.push_back(absl::StrCat(option.name(), "=", *value));
  }
  return absl::StrJoin(texts, " ");
}

std::string AllowedText(const v1::OptionInfo& option) {
  if (option.allowed_values_size() > 0) {
    return absl::StrJoin(option.allowed_values(), ", ");
  }
  std::vector<std::string> bounds;
  if (option.has_minimum()) {
    bounds.push_back(absl::StrCat(option.exclusive_minimum() ? "> " : ">= ",
                                  option.minimum()));
  }
  if (option.has_maximum()) {
    bounds.push_back(absl::StrCat(option.exclusive_maximum() ? "< " : "<= ",
                                  option.maximum()));
  }
  return absl::StrJoin(bounds, " and ");
}

std::string DefaultText(const v1::OptionInfo& option) {
  if (!option.default_value().empty()) {
    return absl::StrCat("default ", option.default_value());
  }
  return option.optional() ? "optional" : "must be set";
}

std::vector<std::string> ShortNames(const EnumDescriptor* descriptor) {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor->value_count(); ++i) {
    std::string name = ShortName(descriptor, descriptor->value(i)->number());
    if (!name.empty()) names.push_back(std::move(name));
  }
  return names;
}

std::string ShortName(const EnumDescriptor* descriptor, int number) {
  const auto* const value = descriptor->FindValueByNumber(number);
  if (value == nullptr || number == 0) return "";
  return value->name().substr(ValuePrefix(descriptor).size());
}

std::optional<int> ParseShortName(const EnumDescriptor* descriptor,
                                  const std::string& text) {
  for (int i = 0; i < descriptor->value_count(); ++i) {
    const int number = descriptor->value(i)->number();
    const std::string name = ShortName(descriptor, number);
    if (!name.empty() && absl::EqualsIgnoreCase(name, text)) return number;
  }
  return std::nullopt;
}

}  // namespace lossd::cli
