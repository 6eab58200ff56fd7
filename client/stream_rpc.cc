#include "client/stream_rpc.h"

#include <grpcpp/generic/generic_stub.h>

#include <array>
#include <cstdint>

namespace lossd::client_internal {
namespace {

// What can be waited for: one of each at a time.
enum Event : uint8_t {
  kStarted,
  kMetadata,
  kWritten,
  kEndWritten,
  kRead,
  kFinished,
  kEvents
};

// gRPC's tags are pointers: to these.
std::array<char, kEvents> tags;

void* TagOf(Event event) { return &tags.at(event); }

Event EventOf(const void* tag) {
  return static_cast<Event>(static_cast<const char*>(tag) - tags.data());
}

// One call. Whatever happens, reading goes on until there is nothing to read,
// which is when the call has ended; then its status is asked for.
class Exchange {
 public:
  Exchange(const std::shared_ptr<grpc::Channel>& channel,
           grpc::ClientContext* context,
           const std::function<std::optional<grpc::ByteBuffer>()>& next,
           const std::function<bool(const grpc::ByteBuffer&)>& accept)
      : context_(*context),
        next_(next),
        accept_(accept),
        call_(grpc::GenericStub(channel).PrepareCall(
            context, "/lossd.v1.LossService/ComputeStream", &queue_)) {}

  grpc::Status Run() {
    Expect();
    call_->StartCall(TagOf(kStarted));
    while (expected_ > 0) {
      void* tag = nullptr;
      bool ok = false;
      queue_.Next(&tag, &ok);
      --expected_;
      React(EventOf(tag), ok);
    }
    return status_;
  }

 private:
  void React(Event event, bool ok) {
    switch (event) {
      case kStarted:
        // Not together with the first message, as Read() would: when a deadline
        // passes between the two, gRPC 1.51 never ends the call.
        Expect();
        call_->ReadInitialMetadata(TagOf(kMetadata));
        if (ok) Write();
        return;
      case kMetadata:
        return Read();
      case kWritten:
        if (ok && !refused_) Write();
        return;
      case kRead:
        return ok ? Accept() : Finish();
      case kEndWritten:
      case kFinished:
      case kEvents:
        return;
    }
  }

  void Write() {
    const std::optional<grpc::ByteBuffer> message = next_();
    Expect();
    if (message) {
      call_->Write(*message, TagOf(kWritten));
    } else {
      call_->WritesDone(TagOf(kEndWritten));
    }
  }

  void Read() {
    Expect();
    call_->Read(&incoming_, TagOf(kRead));
  }

  void Accept() {
    if (!refused_ && !accept_(incoming_)) {
      refused_ = true;
      context_.TryCancel();
    }
    Read();
  }

  void Finish() {
    Expect();
    call_->Finish(&status_, TagOf(kFinished));
  }

  void Expect() { ++expected_; }

  grpc::ClientContext& context_;
  const std::function<std::optional<grpc::ByteBuffer>()>& next_;
  const std::function<bool(const grpc::ByteBuffer&)>& accept_;
  grpc::CompletionQueue queue_;
  const std::unique_ptr<grpc::GenericClientAsyncReaderWriter> call_;
  grpc::ByteBuffer incoming_;
  grpc::Status status_;
  // Events that are still to come.
  int expected_ = 0;
  bool refused_ = false;
};

}  // namespace

grpc::Status SendComputeStream(
    const std::shared_ptr<grpc::Channel>& channel, grpc::ClientContext* context,
    const std::function<std::optional<grpc::ByteBuffer>()>& next,
    const std::function<bool(const grpc::ByteBuffer&)>& accept) {
  return Exchange(channel, context, next, accept).Run();
}

}  // namespace lossd::client_internal
