#include "server/named_loss.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cmath>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"
#include "server/catalog.h"

namespace lossd {
namespace {

using google::protobuf::EnumDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Value;

// The largest whole number up to which a double knows every other one.
constexpr double kMaxExact = 9007199254740992.0;

std::string KnownLosses() {
  return absl::StrJoin(Catalog::Get().list().losses(), ", ",
                       [](std::string* out, const v1::LossInfo& info) {
                         const bool has_short =
                             info.aliases_size() > 0 &&
                             info.aliases(0).size() < info.name().size();
                         out->append(has_short ? info.aliases(0) : info.name());
                       });
}

std::string TextOf(const Value& value) {
  switch (value.kind_case()) {
    case Value::kNumberValue:
      return NumberText(value.number_value());
    case Value::kStringValue:
      return absl::StrCat("'", value.string_value(), "'");
    case Value::kBoolValue:
      return value.bool_value() ? "true" : "false";
    case Value::kStructValue:
      return "an object";
    case Value::kListValue:
      return "a list";
    case Value::kNullValue:
    case Value::KIND_NOT_SET:
      break;
  }
  return "null";
}

// What the option allows, if the value was not of that kind.
std::optional<std::string> SetEnum(const Value& value,
                                   const FieldDescriptor& field,
                                   Message* loss) {
  const v1::OptionInfo& info = field.options().GetExtension(v1::option);
  const EnumDescriptor& type = *field.enum_type();
  for (int i = 0; i < type.value_count(); ++i) {
    // Number 0 says that nothing was given.
    if (value.kind_case() == Value::kStringValue &&
        type.value(i)->number() != 0 &&
        absl::EqualsIgnoreCase(value.string_value(),
                               ShortName(*type.value(i)))) {
      loss->GetReflection()->SetEnum(loss, &field, type.value(i));
      return std::nullopt;
    }
  }
  return absl::StrJoin(info.allowed_values(), ", ");
}

// A switch, or a number.
std::optional<std::string> SetValue(const Value& value,
                                    const FieldDescriptor& field,
                                    Message* loss) {
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
    if (value.kind_case() != Value::kBoolValue) return "true or false";
    loss->GetReflection()->SetBool(loss, &field, value.bool_value());
    return std::nullopt;
  }
  if (value.kind_case() != Value::kNumberValue) return "a number";
  const double number = value.number_value();
  if (field.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    loss->GetReflection()->SetDouble(loss, &field, number);
    return std::nullopt;
  }
  if (std::trunc(number) != number || std::abs(number) > kMaxExact) {
    return "a whole number of at most 2^53";
  }
  loss->GetReflection()->SetInt64(loss, &field, static_cast<int64_t>(number));
  return std::nullopt;
}

absl::Status SetOption(const std::string& name, const Value& value,
                       Message* loss) {
  const std::string path = absl::StrCat("loss.named.options.", name);
  const FieldDescriptor* field = loss->GetDescriptor()->FindFieldByName(name);
  if (field == nullptr) {
    return InvalidField({path, std::nullopt, "an unknown option",
                         KnownOptions(*loss->GetDescriptor())});
  }
  const std::optional<std::string> allowed =
      field->cpp_type() == FieldDescriptor::CPPTYPE_ENUM
          ? SetEnum(value, *field, loss)
          : SetValue(value, *field, loss);
  if (!allowed) return absl::OkStatus();
  return InvalidField({path, std::nullopt, TextOf(value), *allowed});
}

}  // namespace

std::string KnownOptions(const google::protobuf::Descriptor& loss) {
  std::vector<std::string> names;
  names.reserve(static_cast<size_t>(loss.field_count()));
  for (int i = 0; i < loss.field_count(); ++i) {
    names.push_back(loss.field(i)->name());
  }
  return names.empty() ? "no options" : absl::StrJoin(names, ", ");
}

absl::StatusOr<v1::Loss> ResolveNamedLoss(const v1::NamedLoss& named) {
  const FieldDescriptor* member = Catalog::Get().Find(named.name());
  if (member == nullptr) {
    return InvalidField({"loss.named.name", std::nullopt,
                         absl::StrCat("'", named.name(), "'"), KnownLosses()});
  }
  v1::Loss loss;
  Message* typed = loss.GetReflection()->MutableMessage(&loss, member);
  for (const auto& [name, value] : named.options().fields()) {
    LOSSD_RETURN_IF_ERROR(SetOption(name, value, typed));
  }
  return loss;
}

}  // namespace lossd
