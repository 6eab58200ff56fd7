#include "server/compute_handler.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/proto_utils.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>

#include <chrono>
#include <exception>
#include <new>

#include "absl/status/status.h"
#include "lossd/v1/loss_service.pb.h"
#include "server/error_details.h"
#include "server/reactor.h"
#include "server/request_parser.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

using ResponseTraits = grpc::SerializationTraits<v1::ComputeResponse>;

// What a client should wait: for a batch or two to be computed, and for another
// server to take this one's place.
constexpr double kQueueFullDelay = 0.1;
constexpr double kShutdownDelay = 1;

absl::Status QueueFull() {
  return TryAgain(
      "too many requests are waiting to be computed, try again later",
      kQueueFullDelay);
}

// One call. Reads a message and the end of the stream on gRPC's threads, and
// does everything that may take long on the compute thread.
class ComputeReactor final : public RawReactor {
 public:
  ComputeReactor(const ComputeContext& context,
                 const grpc::CallbackServerContext& call)
      : context_(context),
        call_(call),
        rpc_(context.metrics, Metrics::Method::kCompute) {
    // A message that would be refused need not be sent.
    if (context_.queue.Full()) {
      EndWith(QueueFull());
    } else {
      Read(&request_);
    }
  }

 private:
  void ReadDone(bool ok) override {
    if (!has_request_) {
      if (!ok) return EndWith(NoRequest());
      has_request_ = true;
      rpc_.Received(request_.Length());
      return Read(&excess_);
    }
    if (ok) {
      return EndWith(
          absl::InvalidArgumentError("Compute takes one message, got more"));
    }
    if (!context_.queue.Push([this] { Run(); })) EndWith(QueueFull());
  }

  void Cancelled() override { cancelled_ = true; }

  void Done() override {
    rpc_.Finish(CodeReceived(call_, rpc_.code()));
    delete this;
  }

  void EndWith(const absl::Status& status) {
    rpc_.Finish(status.code());
    End(ToGrpcStatus(status));
  }

  absl::Status NoRequest() const {
    const absl::Status interrupted = Interrupted();
    return interrupted.ok()
               ? absl::InvalidArgumentError("Compute takes a message, got none")
               : interrupted;
  }

  // Why the answer is not wanted any more, if it is not.
  absl::Status Interrupted() const {
    if (call_.deadline() < std::chrono::system_clock::now()) {
      return absl::DeadlineExceededError(
          "the deadline passed before the result was computed");
    }
    if (cancelled_ || call_.IsCancelled()) {
      return absl::CancelledError("the call was cancelled");
    }
    if (context_.abandon) {
      return TryAgain("the server is shutting down", kShutdownDelay);
    }
    return absl::OkStatus();
  }

  // On the compute thread.
  void Run() {
    const auto start = std::chrono::steady_clock::now();
    const absl::Status status = RunGuarded();
    const std::chrono::duration<double> seconds =
        std::chrono::steady_clock::now() - start;
    // While this thread parses or encodes, the others of its team can do
    // nothing else.
    context_.metrics.AddBusySeconds(seconds.count() * context_.limits.threads);
    if (!status.ok()) return EndWith(status);
    rpc_.Finish(absl::StatusCode::kOk);
    rpc_.Sent(reply_.Length());
    WriteAndFinish(&reply_);
  }

  absl::Status RunGuarded() {
    try {
      return Compute();
    } catch (const std::bad_alloc&) {
      return absl::ResourceExhaustedError(
          "there is not enough memory for this request");
    } catch (const std::exception& error) {
      return absl::InternalError(error.what());
    }
  }

  absl::Status Compute() {
    absl::Status status = Interrupted();
    if (!status.ok()) return status;
    v1::ComputeRequest request;
    status = ParseRequest(&request_, context_.limits.max_items, &request);
    if (!status.ok()) return status;
    v1::ComputeResponse response;
    status = ComputeBatch(
        request, context_.limits, [this] { return Interrupted(); },
        context_.metrics, &response);
    if (!status.ok()) return status;
    bool own = false;
    if (!ResponseTraits::Serialize(response, &reply_, &own).ok()) {
      return absl::InternalError("the reply could not be serialized");
    }
    return absl::OkStatus();
  }

  const ComputeContext& context_;
  const grpc::CallbackServerContext& call_;
  Metrics::Rpc rpc_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer excess_;
  grpc::ByteBuffer reply_;
  bool has_request_ = false;
  std::atomic<bool> cancelled_ = false;
};

}  // namespace

grpc::internal::MethodHandler* NewComputeHandler(
    const ComputeContext& context) {
  return new grpc::internal::CallbackBidiHandler<grpc::ByteBuffer,
                                                 grpc::ByteBuffer>(
      [&context](grpc::CallbackServerContext* call) {
        return new ComputeReactor(context, *call);
      });
}

}  // namespace lossd
