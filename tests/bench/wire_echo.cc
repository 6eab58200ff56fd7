// What gRPC alone can do: answers messages of raw bytes with as many raw bytes
// as it is told, looks at none of them and copies none.
//
//   wire_echo MAX_REPLY_BYTES ADDRESS...    127.0.0.1:0 or unix:PATH
//
// Says where it listens as lossd does, and ends when stdin does.
//
//   /echo/unary/N    one message, answered with N bytes
//   /echo/stream/N   any number of messages, each answered with N bytes

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <charconv>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <limits>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "tests/bench/wire_call.h"

namespace lossd::bench {
namespace {

constexpr std::string_view kUnary = "/echo/unary/";
constexpr std::string_view kStream = "/echo/stream/";

class EchoReactor final : public grpc::ServerGenericBidiReactor {
 public:
  EchoReactor(bool stream, const grpc::ByteBuffer& reply)
      : stream_(stream), reply_(reply) {
    StartRead(&message_);
  }

 private:
  void OnReadDone(bool ok) override {
    if (stream_) {
      if (!ok) return Finish(grpc::Status::OK);
      message_.Clear();
      return StartWrite(&reply_);
    }
    // As lossd does, which must see that nothing follows.
    if (ok) return StartRead(&excess_);
    message_.Clear();
    StartWriteAndFinish(&reply_, grpc::WriteOptions(), grpc::Status::OK);
  }
  void OnWriteDone(bool ok) override {
    if (ok && stream_) StartRead(&message_);
  }
  void OnDone() override { delete this; }

  const bool stream_;
  const grpc::ByteBuffer reply_;
  grpc::ByteBuffer message_;
  grpc::ByteBuffer excess_;
};

class RefusingReactor final : public grpc::ServerGenericBidiReactor {
 public:
  RefusingReactor() {
    Finish({grpc::StatusCode::UNIMPLEMENTED, "/echo/{unary,stream}/BYTES"});
  }

 private:
  void OnDone() override { delete this; }
};

class EchoService final : public grpc::CallbackGenericService {
 public:
  explicit EchoService(size_t max_reply) : bytes_(max_reply, 'x') {}

 private:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* call) override {
    std::string_view method = call->method();
    const bool stream = method.starts_with(kStream);
    if (!stream && !method.starts_with(kUnary)) return new RefusingReactor;
    method.remove_prefix(stream ? kStream.size() : kUnary.size());
    size_t size = 0;
    std::from_chars(method.data(), method.data() + method.size(), size);
    if (size == 0 || size > bytes_.size()) return new RefusingReactor;
    return new EchoReactor(stream, Borrow({bytes_.data(), size}));
  }

  const std::string bytes_;
};

void Serve(size_t max_reply, const std::vector<std::string>& addresses) {
  EchoService service(max_reply);
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(-1);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrameBytes);
  builder.RegisterCallbackGenericService(&service);
  std::vector<int> ports(addresses.size());
  for (size_t i = 0; i < addresses.size(); ++i) {
    builder.AddListeningPort(addresses[i], grpc::InsecureServerCredentials(),
                             &ports[i]);
  }
  const std::unique_ptr<grpc::Server> server = builder.BuildAndStart();
  if (server == nullptr) Die("cannot listen");
  std::cout << R"({"event":"serving","listen":[)";
  for (size_t i = 0; i < addresses.size(); ++i) {
    std::string address = addresses[i];
    if (!address.starts_with("unix:")) {
      address.replace(address.rfind(':') + 1, std::string::npos,
                      std::to_string(ports[i]));
    }
    std::cout << (i > 0 ? "," : "") << std::quoted(address);
  }
  std::cout << "]}" << std::endl;
  std::cin.ignore(std::numeric_limits<std::streamsize>::max());
}

}  // namespace
}  // namespace lossd::bench

int main(int argc, char** argv) {
  if (argc < 3)
    lossd::bench::Die("usage: wire_echo MAX_REPLY_BYTES ADDRESS...");
  lossd::bench::Serve(std::strtoull(argv[1], nullptr, 10),
                      {argv + 2, argv + argc});
  // gRPC's own threads may sit in a poll of 10 s.
  std::_Exit(0);
}
