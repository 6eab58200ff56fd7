#include "server/loss_codec.h"

#include <google/protobuf/descriptor.h>
#include <google/protobuf/unknown_field_set.h>

#include <algorithm>
#include <optional>
#include <string_view>
#include <type_traits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/core/status_macros.h"
#include "lib/core/violation.h"
#include "server/catalog.h"
#include "server/named_loss.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

const FieldDescriptor& FieldOf(const Message& options, std::string_view name) {
  return *options.GetDescriptor()->FindFieldByName(std::string(name));
}

// Reads the options that are set. The enums of the library have the numbers of
// the proto's; others have been refused.
class OptionReader {
 public:
  explicit OptionReader(const Message& options) : options_(options) {}

  template <class T>
  void operator()(std::string_view name, T& option, const auto&) const {
    const FieldDescriptor& field = FieldOf(options_, name);
    const auto& reflection = *options_.GetReflection();
    if (reflection.HasField(options_, &field)) {
      Read(reflection, field, option);
    }
  }

 private:
  void Read(const Reflection& reflection, const FieldDescriptor& field,
            double& option) const {
    option = reflection.GetDouble(options_, &field);
  }
  void Read(const Reflection& reflection, const FieldDescriptor& field,
            int64_t& option) const {
    option = reflection.GetInt64(options_, &field);
  }
  void Read(const Reflection& reflection, const FieldDescriptor& field,
            bool& option) const {
    option = reflection.GetBool(options_, &field);
  }
  template <class Enum>
  void Read(const Reflection& reflection, const FieldDescriptor& field,
            Enum& option) const {
    option = static_cast<Enum>(reflection.GetEnumValue(options_, &field));
  }
  template <class T>
  void Read(const Reflection& reflection, const FieldDescriptor& field,
            std::optional<T>& option) const {
    Read(reflection, field, option.emplace());
  }

  const Message& options_;
};

// Writes the options that have a value, or a default that is documented.
class OptionWriter {
 public:
  OptionWriter(Message* options, bool with_defaults)
      : options_(*options), with_defaults_(with_defaults) {}

  void operator()(std::string_view name, const auto& option,
                  const auto&) const {
    Write(FieldOf(options_, name), option);
  }

 private:
  const Reflection& reflection() const { return *options_.GetReflection(); }

  void Write(const FieldDescriptor& field, double option) const {
    reflection().SetDouble(&options_, &field, option);
  }
  void Write(const FieldDescriptor& field, int64_t option) const {
    reflection().SetInt64(&options_, &field, option);
  }
  void Write(const FieldDescriptor& field, bool option) const {
    reflection().SetBool(&options_, &field, option);
  }
  template <class Enum>
  void Write(const FieldDescriptor& field, Enum option) const {
    reflection().SetEnumValue(&options_, &field, static_cast<int>(option));
  }
  template <class T>
  void Write(const FieldDescriptor& field,
             const std::optional<T>& option) const {
    if (option) return Write(field, *option);
    double number = 0;
    if constexpr (std::is_same_v<T, double>) {
      if (with_defaults_ &&
          absl::SimpleAtod(
              field.options().GetExtension(v1::option).default_value(),
              &number)) {
        Write(field, number);
      }
    }
  }

  Message& options_;
  const bool with_defaults_;
};

// Position in the registry of a member of the oneof.
size_t RegistryIndex(const FieldDescriptor& member) {
  const auto found = std::ranges::find(AllLosses::kTable, member.name(),
                                       &AllLosses::Entry::name);
  return static_cast<size_t>(found - AllLosses::kTable.begin());
}

const FieldDescriptor* MemberOf(const v1::Loss& loss) {
  return loss.GetReflection()->GetOneofFieldDescriptor(
      loss, v1::Loss::descriptor()->FindOneofByName("kind"));
}

LossParams TypedParams(const v1::Loss& loss) {
  const FieldDescriptor& member = *MemberOf(loss);
  LossParams params = AllLosses::kTable[RegistryIndex(member)].defaults();
  const OptionReader reader(loss.GetReflection()->GetMessage(loss, &member));
  std::visit([&](auto& typed) { typed.VisitOptions(typed, reader); }, params);
  return params;
}

absl::Status NoLoss(const v1::Loss& loss) {
  const auto& unknown = loss.GetReflection()->GetUnknownFields(loss);
  if (!unknown.empty()) {
    return NotServed({"loss", std::nullopt,
                      absl::StrCat("field ", unknown.field(0).number()),
                      "a loss of ListLosses"});
  }
  return InvalidField(
      {"loss", std::nullopt, "no loss", "a loss of ListLosses"});
}

// Options of a newer client. To ignore one would give another loss than it
// wants.
absl::Status CheckKnown(const Message& options, const std::string& path) {
  const auto& unknown = options.GetReflection()->GetUnknownFields(options);
  if (unknown.empty()) return absl::OkStatus();
  return NotServed({path, std::nullopt,
                    absl::StrCat("field ", unknown.field(0).number()),
                    KnownOptions(*options.GetDescriptor())});
}

// Proto3 lets unknown numbers of an enum through.
absl::Status CheckEnums(const Message& options, const std::string& path) {
  const google::protobuf::Descriptor& type = *options.GetDescriptor();
  for (int i = 0; i < type.field_count(); ++i) {
    const FieldDescriptor& field = *type.field(i);
    if (field.cpp_type() != FieldDescriptor::CPPTYPE_ENUM) continue;
    const int number = options.GetReflection()->GetEnumValue(options, &field);
    if (field.enum_type()->FindValueByNumber(number) != nullptr) continue;
    return InvalidField(
        {absl::StrCat(path, ".", field.name()), std::nullopt,
         absl::StrCat(number),
         absl::StrJoin(
             field.options().GetExtension(v1::option).allowed_values(), ", ")});
  }
  return absl::OkStatus();
}

}  // namespace

std::string LossName(const v1::Loss& loss) {
  if (loss.kind_case() == v1::Loss::KIND_NOT_SET) return "";
  const FieldDescriptor* member = loss.has_named()
                                      ? Catalog::Get().Find(loss.named().name())
                                      : MemberOf(loss);
  return member != nullptr ? member->name() : "";
}

absl::StatusOr<DecodedLoss> DecodeLoss(const v1::Loss& loss) {
  if (loss.kind_case() == v1::Loss::KIND_NOT_SET) return NoLoss(loss);
  if (loss.has_named()) {
    absl::StatusOr<v1::Loss> typed = ResolveNamedLoss(loss.named());
    if (!typed.ok()) return typed.status();
    return DecodedLoss{TypedParams(*typed), "loss.named.options"};
  }
  const FieldDescriptor& member = *MemberOf(loss);
  if (RegistryIndex(member) == AllLosses::kTable.size()) return NoLoss(loss);
  std::string path = absl::StrCat("loss.", member.name());
  const Message& options = loss.GetReflection()->GetMessage(loss, &member);
  LOSSD_RETURN_IF_ERROR(CheckKnown(options, path));
  LOSSD_RETURN_IF_ERROR(CheckEnums(options, path));
  return DecodedLoss{TypedParams(loss), std::move(path)};
}

v1::Loss EncodeLoss(const LossParams& params, bool with_defaults) {
  v1::Loss loss;
  const FieldDescriptor& member = *v1::Loss::descriptor()->FindFieldByName(
      std::string(AllLosses::Find(params).name));
  const OptionWriter writer(
      loss.GetReflection()->MutableMessage(&loss, &member), with_defaults);
  std::visit([&](const auto& typed) { typed.VisitOptions(typed, writer); },
             params);
  return loss;
}

}  // namespace lossd
