#include "server/stream_handler.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/wire/stream_limits.h"
#include "server/admission.h"
#include "server/arena/arena_range.h"
#include "server/call.h"
#include "server/job.h"
#include "server/reactor.h"
#include "server/request_log.h"
#include "server/status_adapter.h"
#include "server/stream.h"

namespace lossd {
namespace {

// One call. Whoever makes it busy, a reaction of gRPC or the scheduler, works
// on the stream until there is nothing to do; others only leave what happened.
// The scheduler does one thing a round, so as not to keep other calls waiting.
class StreamReactor final : public RawReactor {
 public:
  StreamReactor(const ComputeContext& context,
                grpc::CallbackServerContext& call)
      : context_(context),
        call_(call),
        log_(call),
        watch_(call, context.abandon, context.metrics),
        admission_(context.budget),
        rpc_(context.metrics.rpcs(), Metrics::Method::kComputeStream),
        stages_(context.metrics.stages()),
        stream_(context.metrics, context.pool,
                ArenasOf(context.arenas, log_.peer()),
                [this](int64_t bytes) { return ReserveHeader(bytes); }) {
    Begin();
  }

 private:
  using Direction = CallMetrics::Direction;

  // What a stream comes to.
  enum class Next : uint8_t {
    // The units of a step are to be run.
    kStep,
    // Something was taken, more may have come.
    kMore,
    // A reaction of gRPC goes on. Nothing is touched by who worked until now.
    kWait,
    // The call ends.
    kEnd,
  };

  // The work of a stream, from a step on that is not small.
  class StreamJob final : public Job {
   public:
    StreamJob(StreamReactor& reactor, std::string caller)
        : reactor_(reactor), caller_(std::move(caller)) {}
    const std::string& caller() const override { return caller_; }
    size_t units() const override { return reactor_.units(); }
    size_t unit_bytes() const override { return reactor_.stream_.unit_bytes(); }
    void Begin() override { reactor_.stages_.Resume(); }
    void RunUnit(size_t unit) override { reactor_.stream_.RunUnit(unit); }
    bool NextStep() override {
      next_ = reactor_.Advance(&status_);
      return next_ == Next::kStep || next_ == Next::kMore;
    }
    bool Unwanted() override {
      status_ = reactor_.watch_.Interrupted();
      if (status_.ok()) return false;
      reactor_.watch_.CountDropped(status_);
      next_ = Next::kEnd;
      return true;
    }
    void Answer() override {
      if (next_ == Next::kEnd) reactor_.EndWith(status_);
    }

   private:
    StreamReactor& reactor_;
    const std::string caller_;
    Next next_ = Next::kStep;
    absl::Status status_;
  };

  void Begin() {
    absl::StatusOr<Identity> identity = context_.authenticator.Identify(call_);
    if (!identity.ok()) return Refuse(identity.status());
    identity_ = *std::move(identity);
    if (context_.scheduler.Full()) {
      context_.metrics.Reject(Rejection::kQueueFull);
      return EndWith(TooManyJobs());
    }
    admission_.Start(
        std::min(wire::kStreamBytes, context_.budget.figures().budget),
        identity_.share,
        [this](absl::StatusOr<MemoryBudget::Reservation> memory) {
          if (absl::IsCancelled(memory.status())) {
            watch_.CountDropped(memory.status());
            return EndWith(memory.status());
          }
          if (!memory.ok()) return Refuse(memory.status());
          reserved_ = *std::move(memory);
          context_.metrics.stages().Observe(Stage::kAdmission, rpc_.age());
          const std::lock_guard lock(mutex_);
          open_.emplace(context_.metrics.calls());
          ReadIfRoom();
        });
  }

  void ReadDone(bool ok) override {
    {
      const std::lock_guard lock(mutex_);
      reading_ = false;
      if (ok) {
        rpc_.Received(incoming_.Length());
        context_.metrics.calls().CountStreamMessage(Direction::kReceived);
        received_ = std::exchange(incoming_, {});
      } else {
        end_received_ = true;
      }
      if (std::exchange(busy_, true)) return;
    }
    Work();
  }

  void WriteDone(bool ok) override {
    std::unique_lock lock(mutex_);
    writing_ = false;
    pending_bytes_ -= output_.front().Length();
    output_.pop_front();
    // Nobody reads any more.
    if (!ok) DropOutputBehind(0);
    WriteNext();
    if (ending_) return EndIfWritten(std::move(lock));
    if (std::exchange(busy_, true)) return;
    lock.unlock();
    Work();
  }

  void Cancelled() override {
    watch_.Cancel();
    admission_.Cancel();
  }

  void Done() override {
    const absl::StatusCode code = CodeReceived(call_, rpc_.code());
    rpc_.Finish(code);
    stream_.Count(code);
    log_.Write(rpc_, identity_.name);
    CountUse(identity_, rpc_);
    delete this;
  }

  // Works on this thread, until it comes to a step that the scheduler is to
  // run.
  void Work() {
    absl::Status status;
    while (true) {
      switch (Advance(&status)) {
        case Next::kMore:
          break;
        case Next::kWait:
          return;
        case Next::kEnd:
          return EndWith(status);
        case Next::kStep: {
          auto job =
              std::make_unique<StreamJob>(*this, identity_.caller(log_.peer()));
          if (!IsSmallStep(*job)) {
            stages_.Wait();
            return context_.scheduler.SubmitMore(std::move(job));
          }
          CountedWork(context_.metrics).RunStep(*job);
        }
      }
    }
  }

  // Ends a step that has run. Then begins the next, or else takes a message; or
  // else waits.
  Next Advance(absl::Status* status) {
    *status = watch_.Interrupted();
    if (!status->ok()) {
      watch_.CountDropped(*status);
      return Next::kEnd;
    }
    if (std::exchange(in_step_, false)) {
      stages_.Enter(Stage::kEncode);
      *status = stream_.FinishStep();
      const std::lock_guard lock(mutex_);
      if (status->ok()) TakeOutput();
    }
    // Who waits is not busy: another thread may go on at once.
    stages_.Leave();
    if (!status->ok()) return Next::kEnd;
    if (stream_.HasWork()) {
      if (!HasRoomOrWait()) return Next::kWait;
      watch_.Begin();
      stages_.Enter(Stage::kCompute);
      *status = stream_.BeginStep();
      in_step_ = status->ok();
      return in_step_ ? Next::kStep : Next::kEnd;
    }
    std::optional<grpc::ByteBuffer> message;
    bool end = false;
    if (!TakeMessageOrWait(&message, &end)) return Next::kWait;
    stages_.Enter(end ? Stage::kEncode : Stage::kDecode);
    *status = end ? stream_.End() : stream_.Accept(*message);
    stages_.Leave();
    if (!status->ok()) CountRefusal(*status, identity_, context_.metrics);
    return end || !status->ok() ? Next::kEnd : Next::kMore;
  }

  // Of the step that is to be run, if there is one.
  size_t units() const { return in_step_ ? stream_.units() : 0; }

  // What every stream has reserved is enough for small headers.
  absl::Status ReserveHeader(int64_t bytes) {
    if (bytes <= static_cast<int64_t>(wire::kMaxChunkBytes)) {
      return absl::OkStatus();
    }
    return ReserveMore(context_.budget, bytes, "header", reserved_.bytes(),
                       identity_.share, &header_reserved_);
  }

  bool HasRoomOrWait() {
    const std::lock_guard lock(mutex_);
    busy_ = HasRoom();
    return busy_;
  }

  bool TakeMessageOrWait(std::optional<grpc::ByteBuffer>* message, bool* end) {
    const std::lock_guard lock(mutex_);
    *message = std::exchange(received_, std::nullopt);
    *end = !message->has_value() && end_received_;
    busy_ = message->has_value() || *end;
    // What comes meanwhile waits as long as this one is worked on.
    ReadIfRoom();
    return busy_;
  }

  void Refuse(const absl::Status& status) {
    CountRefusal(status, identity_, context_.metrics);
    EndWith(status);
  }

  // Ends the work, whose thread stays busy for ever.
  void EndWith(const absl::Status& status) {
    std::unique_lock lock(mutex_);
    rpc_.Finish(status.code());
    TellWhenToRetry(status, call_);
    if (status.ok()) {
      TakeOutput();
    } else {
      log_.Fail();
      DropOutputBehind(writing_ ? 1 : 0);
    }
    ending_ = status;
    EndIfWritten(std::move(lock));
  }

  // Those below under the lock.

  bool HasRoom() const { return pending_bytes_ <= kMaxPendingBytes; }

  void ReadIfRoom() {
    if (reading_ || received_ || end_received_ || !HasRoom()) return;
    reading_ = true;
    Read(&incoming_);
  }

  void TakeOutput() {
    for (grpc::ByteBuffer& message : stream_.TakeOutput()) {
      pending_bytes_ += message.Length();
      output_.push_back(std::move(message));
    }
    WriteNext();
  }

  void WriteNext() {
    if (writing_ || output_.empty()) return;
    writing_ = true;
    rpc_.Sent(output_.front().Length());
    context_.metrics.calls().CountStreamMessage(Direction::kSent);
    Write(&output_.front());
  }

  void DropOutputBehind(size_t kept) {
    while (output_.size() > kept) {
      pending_bytes_ -= output_.back().Length();
      output_.pop_back();
    }
  }

  // The last thing that is done: nothing of this is touched after it.
  void EndIfWritten(std::unique_lock<std::mutex> lock) {
    // gRPC takes no status while it writes.
    if (writing_) return;
    const grpc::Status status = ToGrpcStatus(*ending_);
    lock.unlock();
    End(status);
  }

  const ComputeContext& context_;
  grpc::CallbackServerContext& call_;
  RequestLog log_;
  CallWatch watch_;
  Admission admission_;
  Identity identity_;
  // Go after the stream.
  MemoryBudget::Reservation reserved_;
  MemoryBudget::Reservation header_reserved_;

  std::mutex mutex_;
  Metrics::Rpc rpc_;
  // Once it is admitted.
  std::optional<CallMetrics::OpenStream> open_;
  // Somebody works on the stream.
  bool busy_ = false;
  bool reading_ = false;
  grpc::ByteBuffer incoming_;
  std::optional<grpc::ByteBuffer> received_;
  bool end_received_ = false;
  bool writing_ = false;
  // The first one is being written.
  std::deque<grpc::ByteBuffer> output_;
  size_t pending_bytes_ = 0;
  // What the call ends with when all is written.
  std::optional<absl::Status> ending_;

  // Of whoever is busy.
  StageTimer stages_;
  bool in_step_ = false;
  Stream stream_;
};

}  // namespace

grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer>* NewStreamReactor(
    const ComputeContext& context, grpc::CallbackServerContext& call) {
  return new StreamReactor(context, call);
}

}  // namespace lossd
