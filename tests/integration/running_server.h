// A lossd in this process, behind real sockets.

#ifndef LOSSD_TESTS_INTEGRATION_RUNNING_SERVER_H_
#define LOSSD_TESTS_INTEGRATION_RUNNING_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <memory>
#include <string>
#include <vector>

#include "client/client.h"
#include "lossd/v1/loss_service.grpc.pb.h"
#include "server/config/options.h"
#include "server/server.h"

namespace lossd::test {

// Listens on a Unix socket in a folder of its own and on free TCP ports; ends
// with its scope. Thread-safe.
class RunningServer {
 public:
  // `options` as they are, apart from the addresses. Ends the program if the
  // server does not start.
  explicit RunningServer(ServerOptions options = {.threads = 2});
  ~RunningServer();
  RunningServer(const RunningServer&) = delete;
  RunningServer& operator=(const RunningServer&) = delete;

  // As gRPC takes them.
  const std::string& unix_target() const;
  const std::string& tcp_target() const;

  Client Connect(const std::string& target) const;
  Client Connect() const { return Connect(unix_target()); }

  // On one channel, which accepts replies of any size.
  v1::LossService::StubInterface& stub() const { return *stub_; }

  // A request through the stub; fails the test unless the RPC is OK.
  v1::ComputeResponse Compute(const v1::ComputeRequest& request) const;
  // A request of one item.
  v1::LossResult Compute(const v1::LossItem& item) const;

  // What grpc.health.v1 says.
  bool Serving() const;

  struct RawReply {
    grpc::Status status;
    std::vector<std::string> messages;
  };
  // Sends messages of any bytes to any method, then the end of the stream.
  // `compression` is that of the messages.
  RawReply Send(
      const std::string& method, const std::vector<std::string>& messages,
      grpc_compression_algorithm compression = GRPC_COMPRESS_NONE) const;

  // The body of a page of the metrics port; fails the test unless the status
  // is `status`.
  std::string Get(const std::string& path, int status = 200) const;

 private:
  const std::string folder_;
  std::unique_ptr<Server> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<v1::LossService::Stub> stub_;
};

}  // namespace lossd::test

#endif  // LOSSD_TESTS_INTEGRATION_RUNNING_SERVER_H_
