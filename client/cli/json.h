// Messages as JSON for programs: names as in the proto, 64-bit integers as
// numbers, enums by their short names, NaN and infinities as null.

#ifndef LOSSD_CLIENT_CLI_JSON_H_
#define LOSSD_CLIENT_CLI_JSON_H_

#include <google/protobuf/message.h>

#include <iosfwd>
#include <nlohmann/json.hpp>

#include "client/cli/array_data.h"
#include "client/client.h"

namespace lossd::cli {

using Json = nlohmann::ordered_json;

// Fields that have no presence are always there, others only if they are set.
// `message` has neither maps nor bytes.
Json ToJson(const google::protobuf::Message& message);

// What a result says besides tensors, and the Euclidean norm of `gradient` as
// "gradient_norm".
Json ToJson(const ClientResult& result, const Array& gradient);

// Prints `json` and ends the line.
void Print(const Json& json, std::ostream& out);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_JSON_H_
