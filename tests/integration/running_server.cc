#include "tests/integration/running_server.h"

#include <civetweb.h>
#include <grpc/grpc.h>
#include <grpcpp/generic/generic_stub.h>
#include <stdlib.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <utility>

#include "gtest/gtest.h"
#include "server/listen/listen_address.h"
#include "server/logging.h"

namespace lossd::test {
namespace {

// Longer than anything here takes, with sanitizers too; a test that runs into
// it fails.
constexpr std::chrono::seconds kDeadline(120);

std::string MakeFolder() {
  std::string name = "/tmp/lossd_integration_XXXXXX";
  if (mkdtemp(name.data()) == nullptr) std::abort();
  return name;
}

std::unique_ptr<Server> StartServer(const std::string& folder,
                                    ServerOptions options) {
  SetLogLevel("error");
  options.listen = {"unix:" + folder + "/socket", "127.0.0.1:0"};
  options.metrics_listen = "127.0.0.1:0";
  absl::StatusOr<std::unique_ptr<Server>> server = Server::Start(options);
  if (server.ok()) return *std::move(server);
  std::cerr << server.status() << std::endl;
  std::abort();
}

std::string Bytes(grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  std::string bytes;
  if (!buffer.Dump(&slices).ok()) return bytes;
  for (const grpc::Slice& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

}  // namespace

RunningServer::RunningServer(ServerOptions options)
    : folder_(MakeFolder()), server_(StartServer(folder_, std::move(options))) {
  // Whenever nobody in the process uses gRPC 1.51 any more it stops its
  // threads, one of which may sit in a poll of 10 s. So this program never
  // stops using it.
  static const bool keep_grpc = [] {
    grpc_init();
    return true;
  }();
  EXPECT_TRUE(keep_grpc);
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  channel_ = grpc::CreateCustomChannel(
      unix_target(), grpc::InsecureChannelCredentials(), arguments);
  stub_ = v1::LossService::NewStub(channel_);
}

RunningServer::~RunningServer() {
  server_.reset();
  std::filesystem::remove_all(folder_);
}

const std::string& RunningServer::unix_target() const {
  return server_->addresses().at(0);
}

const std::string& RunningServer::tcp_target() const {
  return server_->addresses().at(1);
}

Client RunningServer::Connect(const std::string& target) const {
  absl::StatusOr<Client> client = Client::Connect(target);
  if (client.ok()) return *std::move(client);
  std::cerr << client.status() << std::endl;
  std::abort();
}

v1::ComputeResponse RunningServer::Compute(
    const v1::ComputeRequest& request) const {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  v1::ComputeResponse response;
  const grpc::Status status = stub_->Compute(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_code() << ' '
                           << status.error_message();
  EXPECT_EQ(response.results_size(), request.items_size());
  while (response.results_size() < request.items_size()) {
    response.add_results();
  }
  return response;
}

v1::LossResult RunningServer::Compute(const v1::LossItem& item) const {
  v1::ComputeRequest request;
  *request.add_items() = item;
  return Compute(request).results(0);
}

bool RunningServer::Serving() const {
  // A HealthCheckRequest of the whole server is empty; of the reply only the
  // status, field 1, is read: SERVING is 1.
  const RawReply reply = Send("/grpc.health.v1.Health/Check", {""});
  return reply.status.ok() &&
         reply.messages == std::vector<std::string>{"\x08\x01"};
}

RunningServer::RawReply RunningServer::Send(
    const std::string& method, const std::vector<std::string>& messages,
    grpc_compression_algorithm compression) const {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + kDeadline);
  context.set_compression_algorithm(compression);
  grpc::CompletionQueue queue;
  const auto await = [&queue] {
    void* tag = nullptr;
    bool ok = false;
    return queue.Next(&tag, &ok) && ok;
  };
  const auto call =
      grpc::GenericStub(channel_).PrepareCall(&context, method, &queue);
  call->StartCall(nullptr);
  bool open = await();
  for (const std::string& message : messages) {
    if (!open) break;
    const grpc::Slice slice(message);
    call->Write(grpc::ByteBuffer(&slice, 1), nullptr);
    open = await();
  }
  if (open) {
    call->WritesDone(nullptr);
    await();
  }
  RawReply reply;
  grpc::ByteBuffer buffer;
  call->Read(&buffer, nullptr);
  while (await()) {
    reply.messages.push_back(Bytes(buffer));
    call->Read(&buffer, nullptr);
  }
  call->Finish(&reply.status, nullptr);
  EXPECT_TRUE(await());
  return reply;
}

std::string RunningServer::Get(const std::string& path, int status) const {
  const auto address = ParseListenAddress(server_->metrics_address());
  EXPECT_TRUE(address.ok()) << address.status();
  if (!address.ok()) return "";
  std::array<char, 256> error = {};
  mg_connection* connection =
      mg_download(address->host.c_str(), address->port, 0, error.data(),
                  error.size(), "GET %s HTTP/1.0\r\n\r\n", path.c_str());
  EXPECT_NE(connection, nullptr) << error.data();
  if (connection == nullptr) return "";
  EXPECT_EQ(mg_get_response_info(connection)->status_code, status) << path;
  std::string body;
  std::array<char, 4096> buffer = {};
  int bytes = 0;
  while ((bytes = mg_read(connection, buffer.data(), buffer.size())) > 0) {
    body.append(buffer.data(), static_cast<size_t>(bytes));
  }
  mg_close_connection(connection);
  return body;
}

}  // namespace lossd::test
