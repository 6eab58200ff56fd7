#include "tests/bench/wire_call.h"

#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/client_unary_call.h>

#include <barrier>
#include <cstdint>
#include <future>
#include <iostream>
#include <thread>
#include <utility>

#include "proto/wire/announced_bytes.h"

namespace lossd::bench {
namespace {

std::chrono::system_clock::time_point Deadline() {
  return std::chrono::system_clock::now() + kDeadline;
}

class StreamReactor final
    : public grpc::ClientBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  StreamReactor(const std::shared_ptr<grpc::Channel>& channel,
                const std::string& method,
                std::span<const grpc::ByteBuffer> messages)
      : messages_(messages) {
    context_.set_deadline(Deadline());
    grpc::GenericStub(channel).PrepareBidiStreamingCall(&context_, method, {},
                                                        this);
    StartRead(&answer_);
    WriteNext();
    StartCall();
  }

  grpc::Status Await(size_t* received) {
    grpc::Status status = done_.get_future().get();
    *received = received_;
    return status;
  }

 private:
  void OnWriteDone(bool ok) override {
    if (ok) WriteNext();
  }
  void OnReadDone(bool ok) override {
    if (!ok) return;
    received_ += answer_.Length();
    answer_.Clear();
    StartRead(&answer_);
  }
  void OnDone(const grpc::Status& status) override { done_.set_value(status); }

  void WriteNext() {
    if (messages_.empty()) return StartWritesDone();
    const grpc::ByteBuffer* message = &messages_.front();
    messages_ = messages_.subspan(1);
    StartWrite(message);
  }

  grpc::ClientContext context_;
  std::span<const grpc::ByteBuffer> messages_;
  grpc::ByteBuffer answer_;
  size_t received_ = 0;
  std::promise<grpc::Status> done_;
};

}  // namespace

void Die(std::string_view why) {
  std::cerr << why << std::endl;
  // Threads of gRPC and of callers may be at work.
  std::_Exit(1);
}

grpc::ByteBuffer Borrow(std::string_view bytes) {
  const grpc::Slice slice(bytes.data(), bytes.size(),
                          grpc::Slice::STATIC_SLICE);
  return {&slice, 1};
}

std::shared_ptr<grpc::Channel> Open(const std::string& address) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxReceiveMessageSize(-1);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_FRAME_SIZE, kFrameBytes);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  auto channel = grpc::CreateCustomChannel(
      address, grpc::InsecureChannelCredentials(), arguments);
  if (!channel->WaitForConnected(Deadline())) Die("no answer at " + address);
  return channel;
}

RawMethod::RawMethod(std::shared_ptr<grpc::Channel> channel, std::string name)
    : channel_(std::move(channel)),
      name_(std::move(name)),
      method_(name_.c_str(), grpc::internal::RpcMethod::NORMAL_RPC, channel_) {}

grpc::Status RawMethod::Call(const grpc::ByteBuffer& request,
                             grpc::ByteBuffer* reply) const {
  grpc::ClientContext context;
  context.set_deadline(Deadline());
  // As the Python client does; else lossd reserves a whole message limit. The
  // peers are told the same, so that all do the same work.
  const auto bytes = static_cast<int64_t>(request.Length());
  context.AddMetadata(wire::kAnnouncedBytesHeader,
                      wire::FormatAnnouncedBytes({bytes, bytes}));
  return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
      channel_.get(), method_, &context, request, reply);
}

grpc::Status RawMethod::CallFor(size_t reply_bytes,
                                const grpc::ByteBuffer& request) const {
  grpc::ByteBuffer reply;
  grpc::Status status = Call(request, &reply);
  if (!status.ok() || reply.Length() == reply_bytes) return status;
  return {grpc::StatusCode::INTERNAL,
          name_ + ": the reply has " + std::to_string(reply.Length()) +
              " bytes, expected were " + std::to_string(reply_bytes)};
}

grpc::Status CallStream(const std::shared_ptr<grpc::Channel>& channel,
                        const std::string& method,
                        std::span<const grpc::ByteBuffer> messages,
                        size_t* received) {
  return StreamReactor(channel, method, messages).Await(received);
}

Times TimeCalls(std::span<const Caller> callers, int calls) {
  Clock::time_point start;
  std::barrier all_ready(static_cast<std::ptrdiff_t>(callers.size()),
                         [&start]() noexcept { start = Clock::now(); });
  std::vector<Times> parts(callers.size());
  std::vector<std::thread> threads;
  for (size_t i = 0; i < callers.size(); ++i) {
    threads.emplace_back([&, &call = callers[i], &part = parts[i]] {
      part.status = call();
      all_ready.arrive_and_wait();
      for (int k = 0; k < calls && part.status.ok(); ++k) {
        const auto begin = Clock::now();
        part.status = call();
        part.ms.push_back(Milliseconds(begin));
      }
      part.wall_ms = Milliseconds(start);
    });
  }
  for (std::thread& thread : threads) thread.join();
  Times all;
  for (const Times& part : parts) {
    if (!part.status.ok()) return {.status = part.status};
    all.wall_ms = std::max(all.wall_ms, part.wall_ms);
    all.ms.insert(all.ms.end(), part.ms.begin(), part.ms.end());
  }
  return all;
}

double Milliseconds(Clock::time_point start) {
  return std::chrono::duration<double, std::milli>(Clock::now() - start)
      .count();
}

}  // namespace lossd::bench
