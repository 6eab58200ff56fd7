#include "server/request_log.h"

#include <algorithm>
#include <random>
#include <string_view>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "server/logging.h"

namespace lossd {
namespace {

constexpr char kRequestId[] = "x-request-id";
constexpr char kTraceparent[] = "traceparent";

std::string Metadata(const grpc::CallbackServerContext& call,
                     const char* name) {
  const auto found = call.client_metadata().find(name);
  if (found == call.client_metadata().end()) return "";
  return {found->second.data(), found->second.length()};
}

// Unlike any other of this process, and most likely of all others.
std::string NewId() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  return absl::StrCat(absl::Hex(random(), absl::kZeroPad16));
}

}  // namespace

void RequestLog::Fail() { call_.AddTrailingMetadata(kRequestId, Id()); }

void RequestLog::Write(const Metrics::Rpc& rpc, const std::string& identity) {
  if (!LogsDebug()) return;
  LogDebug("rpc", {{"method", rpc.method()},
                   {"code", absl::StatusCodeToString(rpc.code())},
                   {"request_id", Id()},
                   {"traceparent", Traceparent(Metadata(call_, kTraceparent))},
                   {"peer", peer_},
                   {"identity", identity},
                   {"received_bytes", static_cast<int64_t>(rpc.received())},
                   {"sent_bytes", static_cast<int64_t>(rpc.sent())},
                   {"seconds", rpc.age().count()}});
}

const std::string& RequestLog::Id() {
  if (id_.empty()) id_ = RequestId(Metadata(call_, kRequestId));
  if (id_.empty()) id_ = NewId();
  return id_;
}

std::string Traceparent(const std::string& text) {
  constexpr std::string_view kForm =
      "00-xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx-xxxxxxxxxxxxxxxx-xx";
  const auto fits = [](char c, char form) {
    return form == 'x' ? absl::ascii_isxdigit(static_cast<unsigned char>(c)) &&
                             !absl::ascii_isupper(static_cast<unsigned char>(c))
                       : c == form;
  };
  return std::ranges::equal(text, kForm, fits) ? text : "";
}

std::string RequestId(const std::string& text) {
  constexpr size_t kMost = 128;
  const bool fits =
      text.size() <= kMost && std::ranges::all_of(text, [](char c) {
        return absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
               std::string_view("-_.:/").find(c) != std::string_view::npos;
      });
  return fits ? text : "";
}

}  // namespace lossd
