#include "server/catalog.h"

#include <cctype>

#include "absl/strings/ascii.h"

namespace lossd {
namespace {

using google::protobuf::FieldDescriptor;

std::string TypeName(const FieldDescriptor& field) {
  return field.cpp_type() == FieldDescriptor::CPPTYPE_ENUM
             ? "enum"
             : field.cpp_type_name();
}

v1::LossInfo Describe(const google::protobuf::Descriptor& message) {
  v1::LossInfo info = message.options().GetExtension(v1::loss);
  for (int i = 0; i < message.field_count(); ++i) {
    const FieldDescriptor& field = *message.field(i);
    v1::OptionInfo* option = info.add_options();
    *option = field.options().GetExtension(v1::option);
    option->set_name(field.name());
    option->set_type(TypeName(field));
  }
  return info;
}

}  // namespace

const Catalog& Catalog::Get() {
  static const Catalog* const catalog = new Catalog;
  return *catalog;
}

Catalog::Catalog() {
  const google::protobuf::OneofDescriptor& kind =
      *v1::Loss::descriptor()->FindOneofByName("kind");
  for (int i = 0; i < kind.field_count(); ++i) {
    const FieldDescriptor& member = *kind.field(i);
    const google::protobuf::Descriptor& message = *member.message_type();
    // All members but NamedLoss are described.
    if (!message.options().HasExtension(v1::loss)) continue;
    const v1::LossInfo& info = *list_.add_losses() = Describe(message);
    by_name_[info.name()] = &member;
    for (const std::string& alias : info.aliases()) by_name_[alias] = &member;
  }
}

const FieldDescriptor* Catalog::Find(const std::string& name) const {
  const auto found = by_name_.find(absl::AsciiStrToLower(name));
  return found == by_name_.end() ? nullptr : found->second;
}

std::string ShortName(const google::protobuf::EnumValueDescriptor& value) {
  // The prefix is the enum's name in upper snake case: PREDICTION_KIND_.
  const std::string& type = value.type()->name();
  size_t prefix = type.size() + 1;
  for (size_t i = 1; i < type.size(); ++i) {
    if (std::isupper(static_cast<unsigned char>(type[i]))) ++prefix;
  }
  return value.name().substr(prefix);
}

}  // namespace lossd
