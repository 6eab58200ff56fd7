#ifndef LOSSD_SERVER_REACTOR_H_
#define LOSSD_SERVER_REACTOR_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <utility>

#include "absl/status/status.h"

#if defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define LOSSD_THREAD_SANITIZER 1
#endif
#endif

#ifdef LOSSD_THREAD_SANITIZER
extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);
}
#endif

namespace lossd {

// What the client of a call that is over got to know, if the server ended it
// with `sent`. gRPC calls every call cancelled whose status it did not send:
// the client went away, its deadline passed (a little before it passes here, so
// the two cannot be told apart), or gRPC itself refused the message, with a
// code that it tells only the client. To be asked in OnDone.
inline absl::StatusCode CodeReceived(const grpc::CallbackServerContext& call,
                                     absl::StatusCode sent) {
  return call.IsCancelled() ? absl::StatusCode::kCancelled : sent;
}

// gRPC orders each operation before the reaction to it, but the library is not
// instrumented, so that the thread sanitizer has to be told: the first function
// goes before an operation of a reactor, the second begins a reaction.
#ifdef LOSSD_THREAD_SANITIZER
inline void ReleaseToGrpc(void* reactor) { __tsan_release(reactor); }
inline void AcquireFromGrpc(void* reactor) { __tsan_acquire(reactor); }
#else
inline void ReleaseToGrpc(void* /*reactor*/) {}
inline void AcquireFromGrpc(void* /*reactor*/) {}
#endif

// The base of all streaming reactors. A derived class overrides ReadDone,
// WriteDone, Cancelled and Done, which are gRPC's OnReadDone, OnWriteDone,
// OnCancel and OnDone.
template <class Request, class Response>
class Reactor : public grpc::ServerBidiReactor<Request, Response> {
 public:
  void OnReadDone(bool ok) final {
    AcquireFromGrpc(this);
    ReadDone(ok);
  }
  void OnWriteDone(bool ok) final {
    AcquireFromGrpc(this);
    WriteDone(ok);
  }
  void OnCancel() final {
    AcquireFromGrpc(this);
    Cancelled();
  }
  void OnDone() final {
    AcquireFromGrpc(this);
    Done();
  }

 protected:
  // False: there is no further message, or the call has ended.
  virtual void ReadDone(bool /*ok*/) {}
  // False: the call has ended.
  virtual void WriteDone(bool /*ok*/) {}
  // May run beside any other reaction.
  virtual void Cancelled() {}
  // Nothing follows; usually deletes this.
  virtual void Done() = 0;

  // The base class's functions, to be called instead of them.
  void Read(Request* message) {
    ReleaseToGrpc(this);
    this->StartRead(message);
  }
  void Write(const Response* message) {
    ReleaseToGrpc(this);
    this->StartWrite(message);
  }
  void WriteAndFinish(const Response* message) {
    ReleaseToGrpc(this);
    this->StartWriteAndFinish(message, grpc::WriteOptions(), grpc::Status::OK);
  }
  void End(grpc::Status status) {
    ReleaseToGrpc(this);
    this->Finish(std::move(status));
  }
};

using RawReactor = Reactor<grpc::ByteBuffer, grpc::ByteBuffer>;

}  // namespace lossd

#endif  // LOSSD_SERVER_REACTOR_H_
