#include "server/compute_handler.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/impl/codegen/server_callback_handlers.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "server/admission.h"
#include "server/arena/arena_range.h"
#include "server/call.h"
#include "server/job.h"
#include "server/reactor.h"
#include "server/request_log.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

class ComputeReactor;

// The work of a call, which says what became of it to the reactor.
class ComputeJob final : public Job {
 public:
  ComputeJob(ComputeReactor& reactor, const std::string& peer,
             const Identity& identity, const grpc::ByteBuffer& request,
             const ComputeContext& context,
             MemoryBudget::Reservation for_request,
             std::shared_ptr<MemoryBudget::Reservation> for_reply)
      : reactor_(reactor),
        caller_(identity.caller(peer)),
        share_(identity.share),
        budget_(context.budget),
        for_request_(std::move(for_request)),
        for_reply_(std::move(for_reply)),
        batch_(request, context.limits, context.metrics, context.pool,
               ArenasOf(context.arenas, peer),
               {.for_messages =
                    [this](int64_t bytes) {
                      return Reserve(bytes, "messages", &for_messages_);
                    },
                .for_reply =
                    [this](int64_t bytes) {
                      reply_bytes_ = bytes;
                      return Reserve(bytes, "reply", for_reply_.get());
                    }},
               for_reply_) {}

  const std::string& caller() const override { return caller_; }
  size_t units() const override { return batch_.units(); }
  size_t unit_bytes() const override { return batch_.unit_bytes(); }
  void Begin() override;
  void RunUnit(size_t unit) override { batch_.RunUnit(unit); }
  bool NextStep() override { return batch_.NextStep(); }
  bool Unwanted() override;
  void Answer() override;

  StageTimer& stages() { return batch_.stages(); }

 private:
  absl::Status Reserve(int64_t bytes, absl::string_view what,
                       MemoryBudget::Reservation* reserved) {
    const int64_t beside = for_request_.bytes() + for_messages_.bytes() +
                           for_reply_->bytes() - reserved->bytes();
    return ReserveMore(budget_, bytes, what, beside, share_, reserved);
  }

  ComputeReactor& reactor_;
  const std::string caller_;
  const std::shared_ptr<MemoryShare> share_;
  MemoryBudget& budget_;
  // Go after the batch, which has the request.
  const MemoryBudget::Reservation for_request_;
  MemoryBudget::Reservation for_messages_;
  // Of the reply's tensors, until they are sent.
  const std::shared_ptr<MemoryBudget::Reservation> for_reply_;
  int64_t reply_bytes_ = 0;
  Batch batch_;
  absl::Status interrupted_;
};

// One call. Reads a message and the end of the stream on gRPC's threads; what
// may take long is the scheduler's.
class ComputeReactor final : public RawReactor {
 public:
  ComputeReactor(const ComputeContext& context,
                 grpc::CallbackServerContext& call)
      : context_(context),
        call_(call),
        log_(call),
        rpc_(context.metrics.rpcs(), Metrics::Method::kCompute),
        watch_(call, context.abandon, context.metrics),
        admission_(context.budget) {
    Begin();
  }

  CallWatch& watch() { return watch_; }

  // Both end the call. `interrupted` is the watch's.
  void Drop(const absl::Status& interrupted) {
    watch_.CountDropped(interrupted);
    EndWith(interrupted);
  }
  void Answer(absl::StatusOr<grpc::ByteBuffer> reply) {
    if (!reply.ok()) return Refuse(reply.status());
    reply_ = *std::move(reply);
    rpc_.Finish(absl::StatusCode::kOk);
    rpc_.Sent(reply_.Length());
    WriteAndFinish(&reply_);
  }

 private:
  // A message that would be refused need not be sent.
  void Begin() {
    absl::StatusOr<Identity> identity = context_.authenticator.Identify(call_);
    if (!identity.ok()) return Refuse(identity.status());
    identity_ = *std::move(identity);
    if (context_.scheduler.Full()) return RefuseAsQueueIsFull();
    const auto announced = AnnouncedBy(call_);
    if (!announced.ok()) return EndWith(announced.status());
    if (*announced) announced_ = Bounded(**announced);
    Admit();
  }

  void ReadDone(bool ok) override {
    if (!has_request_) {
      if (!ok) return EndWithoutRequest();
      has_request_ = true;
      rpc_.Received(request_.Length());
      const absl::Status admitted = CorrectReservation();
      if (!admitted.ok()) return EndWith(admitted);
      return Read(&excess_);
    }
    if (ok) {
      return EndWith(
          absl::InvalidArgumentError("Compute takes one message, got more"));
    }
    Compute();
  }

  void Cancelled() override {
    watch_.Cancel();
    admission_.Cancel();
  }

  void Done() override {
    rpc_.Finish(CodeReceived(call_, rpc_.code()));
    log_.Write(rpc_, identity_.name);
    CountUse(identity_, rpc_);
    delete this;
  }

  void EndWithoutRequest() {
    const absl::Status interrupted = watch_.Interrupted();
    if (!interrupted.ok()) return Drop(interrupted);
    EndWith(absl::InvalidArgumentError("Compute takes a message, got none"));
  }

  void RefuseAsQueueIsFull() {
    context_.metrics.Reject(Rejection::kQueueFull);
    EndWith(TooManyJobs());
  }

  void Refuse(const absl::Status& status) {
    CountRefusal(status, identity_, context_.metrics);
    EndWith(status);
  }

  void EndWith(const absl::Status& status) {
    rpc_.Finish(status.code());
    TellWhenToRetry(status, call_);
    log_.Fail();
    End(ToGrpcStatus(status));
  }

  void Admit() {
    admission_.Start(WorstCase(), identity_.share,
                     [this](absl::StatusOr<MemoryBudget::Reservation> memory) {
                       if (absl::IsCancelled(memory.status())) {
                         return Drop(memory.status());
                       }
                       if (!memory.ok()) return Refuse(memory.status());
                       reserved_ = *std::move(memory);
                       context_.metrics.stages().Observe(Stage::kAdmission,
                                                         rpc_.age());
                       Read(&request_);
                     });
  }

  // No message is larger than the limit, whatever is announced.
  wire::AnnouncedBytes Bounded(const wire::AnnouncedBytes& announced) const {
    const int64_t limit = context_.limits.max_message_bytes;
    return {.request = std::min(announced.request, limit),
            .reply = std::min(announced.reply, limit)};
  }

  // What a call takes of which nothing else is known: a message as large as the
  // limit.
  int64_t WorstCase() const {
    if (announced_) return announced_->request + announced_->reply;
    const int64_t most = std::min(context_.limits.max_message_bytes,
                                  context_.budget.figures().budget);
    return identity_.share != nullptr ? std::min(most, identity_.share->limit())
                                      : most;
  }

  // Once the request is there.
  absl::Status CorrectReservation() {
    const auto bytes = static_cast<int64_t>(request_.Length());
    if (announced_ && bytes > announced_->request) {
      return absl::InvalidArgumentError(absl::StrCat(
          "the request has ", bytes, " bytes, allowed: the ",
          announced_->request, " of metadata ", wire::kAnnouncedBytesHeader));
    }
    // A gradient is about as large as the predictions.
    const int64_t reply = announced_ ? announced_->reply : bytes;
    reserved_.Shrink(std::min(reserved_.bytes(), bytes + reply));
    return absl::OkStatus();
  }

  void Compute() {
    const int64_t bytes =
        std::min(static_cast<int64_t>(request_.Length()), reserved_.bytes());
    MemoryBudget::Reservation for_request = reserved_.Split(bytes);
    for_reply_ =
        std::make_shared<MemoryBudget::Reservation>(std::move(reserved_));
    auto job = std::make_unique<ComputeJob>(*this, log_.peer(), identity_,
                                            request_, context_,
                                            std::move(for_request), for_reply_);
    const bool small = request_.Length() <= kSmallWork;
    // The job keeps what it needs of the request.
    request_.Clear();
    if (small) {
      if (job->Unwanted()) return job->Answer();
      job->stages().Enter(Stage::kDecode);
      if (RunWhileSmall(*job, context_.metrics)) return job->Answer();
      watch_.Begin();
      job->stages().Wait();
      return context_.scheduler.SubmitMore(std::move(job));
    }
    job->stages().Wait();
    if (!context_.scheduler.Submit(std::move(job))) RefuseAsQueueIsFull();
  }

  const ComputeContext& context_;
  grpc::CallbackServerContext& call_;
  RequestLog log_;
  Metrics::Rpc rpc_;
  CallWatch watch_;
  Admission admission_;
  Identity identity_;
  std::optional<wire::AnnouncedBytes> announced_;
  MemoryBudget::Reservation reserved_;
  // Small tensors are copied into the reply, which gRPC has until OnDone.
  std::shared_ptr<MemoryBudget::Reservation> for_reply_;
  grpc::ByteBuffer request_;
  grpc::ByteBuffer excess_;
  grpc::ByteBuffer reply_;
  bool has_request_ = false;
};

void ComputeJob::Begin() {
  reactor_.watch().Begin();
  batch_.stages().Resume();
}

bool ComputeJob::Unwanted() {
  interrupted_ = reactor_.watch().Interrupted();
  return !interrupted_.ok();
}

void ComputeJob::Answer() {
  for_reply_->Shrink(std::min(for_reply_->bytes(), reply_bytes_));
  if (interrupted_.ok()) {
    reactor_.Answer(batch_.Reply());
  } else {
    batch_.stages().Finish();
    reactor_.Drop(interrupted_);
  }
}

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
