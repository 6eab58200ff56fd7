#include "server/library_logs.h"

#include <google/protobuf/stubs/logging.h>
#include <grpc/support/log.h>

#include <string>

#include "server/logging.h"

namespace lossd {
namespace {

void ForwardGrpc(gpr_log_func_args* args) {
  // gRPC knows debug, info and error; what others call a warning it calls an
  // error. Its errors concern single connections: none needs a human.
  LogWarning(
      "grpc",
      {{"message", args->message}, {"file", args->file}, {"line", args->line}});
}

void ForwardProtobuf(google::protobuf::LogLevel /*level*/, const char* file,
                     int line, const std::string& message) {
  // It complains of requests that it cannot parse; their callers are told.
  LogDebug("protobuf", {{"message", message}, {"file", file}, {"line", line}});
}

}  // namespace

void RouteLibraryLogs() {
  gpr_set_log_function(ForwardGrpc);
  gpr_set_log_verbosity(GPR_LOG_SEVERITY_ERROR);
  google::protobuf::SetLogHandler(ForwardProtobuf);
}

}  // namespace lossd
