#include "client/cli/json.h"

#include <google/protobuf/descriptor.h>

#include <ostream>
#include <utility>

#include "client/cli/options_reflection.h"

namespace lossd::cli {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

Json EnumJson(const FieldDescriptor* field, int number) {
  return ShortName(field->enum_type(), number);
}

Json ElementJson(const Message& message, const FieldDescriptor* field, int i) {
  const Reflection* const reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(reflection->GetRepeatedMessage(message, field, i));
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumJson(field,
                      reflection->GetRepeatedEnumValue(message, field, i));
    default:
      return reflection->GetRepeatedString(message, field, i);
  }
}

Json FieldJson(const Message& message, const FieldDescriptor* field) {
  const Reflection* const reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return ToJson(reflection->GetMessage(message, field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return EnumJson(field, reflection->GetEnumValue(message, field));
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return reflection->GetDouble(message, field);
    case FieldDescriptor::CPPTYPE_INT64:
      return reflection->GetInt64(message, field);
    case FieldDescriptor::CPPTYPE_INT32:
      return reflection->GetInt32(message, field);
    case FieldDescriptor::CPPTYPE_BOOL:
      return reflection->GetBool(message, field);
    default:
      return reflection->GetString(message, field);
  }
}

}  // namespace

Json ToJson(const Message& message) {
  Json json = Json::object();
  const auto* const descriptor = message.GetDescriptor();
  for (int i = 0; i < descriptor->field_count(); ++i) {
    const FieldDescriptor* const field = descriptor->field(i);
    if (field->is_repeated()) {
      Json elements = Json::array();
      const int size = message.GetReflection()->FieldSize(message, field);
      for (int k = 0; k < size; ++k) {
        elements.push_back(ElementJson(message, field, k));
      }
      json[field->name()] = std::move(elements);
    } else if (!field->has_presence() ||
               message.GetReflection()->HasField(message, field)) {
      json[field->name()] = FieldJson(message, field);
    }
  }
  return json;
}

Json ToJson(const ClientResult& result, const Array& gradient) {
  Json json = {{"loss", result.loss},
               {"loss_sum", result.loss_sum},
               {"weight_sum", result.weight_sum},
               {"normalizer", result.normalizer},
               {"row_count", result.row_count},
               {"masked_count", result.masked_count},
               {"ignored_count", result.ignored_count},
               {"clipped_count", result.clipped_count},
               {"gradient_norm", EuclideanNorm(gradient)},
               {"reduction", ShortName(result.reduction)},
               {"semantics", ShortName(result.semantics)},
               {"loss_in_force", ToJson(result.loss_in_force)},
               {"diagnostics", result.diagnostics},
               {"warnings", result.warnings}};
  return json;
}

void Print(const Json& json, std::ostream& out) {
  // Texts come from files and servers: bytes that are no UTF-8 are replaced.
  out << json.dump(2, ' ', false, Json::error_handler_t::replace) << '\n';
}

}  // namespace lossd::cli
