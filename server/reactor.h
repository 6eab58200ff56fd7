#ifndef LOSSD_SERVER_REACTOR_H_
#define LOSSD_SERVER_REACTOR_H_

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/server_callback.h>

#include <utility>

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

// The base of all streaming reactors. gRPC orders each operation before the
// reaction to it, but the library is not instrumented, so that the thread
// sanitizer has to be told. A derived class overrides ReadDone, Cancelled and
// Done, which are gRPC's OnReadDone, OnCancel and OnDone.
template <class Request, class Response>
class Reactor : public grpc::ServerBidiReactor<Request, Response> {
 public:
  void OnReadDone(bool ok) final {
    Acquire();
    ReadDone(ok);
  }
  void OnCancel() final {
    Acquire();
    Cancelled();
  }
  void OnDone() final {
    Acquire();
    Done();
  }

 protected:
  // False: there is no further message, or the call has ended.
  virtual void ReadDone(bool /*ok*/) {}
  // May run beside any other reaction.
  virtual void Cancelled() {}
  // Nothing follows; usually deletes this.
  virtual void Done() = 0;

  // The base class's functions, to be called instead of them.
  void Read(Request* message) {
    Release();
    this->StartRead(message);
  }
  void WriteAndFinish(const Response* message) {
    Release();
    this->StartWriteAndFinish(message, grpc::WriteOptions(), grpc::Status::OK);
  }
  void End(grpc::Status status) {
    Release();
    this->Finish(std::move(status));
  }

 private:
#ifdef LOSSD_THREAD_SANITIZER
  void Acquire() { __tsan_acquire(this); }
  void Release() { __tsan_release(this); }
#else
  void Acquire() {}
  void Release() {}
#endif
};

using RawReactor = Reactor<grpc::ByteBuffer, grpc::ByteBuffer>;

}  // namespace lossd

#endif  // LOSSD_SERVER_REACTOR_H_
