// Calls of raw bytes, and how they are timed. The same code calls lossd, the
// echo and the Python service.

#ifndef LOSSD_TESTS_BENCH_WIRE_CALL_H_
#define LOSSD_TESTS_BENCH_WIRE_CALL_H_

#include <grpcpp/channel.h>
#include <grpcpp/impl/codegen/rpc_method.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/status.h>

#include <chrono>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace lossd::bench {

using Clock = std::chrono::steady_clock;

// Of HTTP/2's frames, instead of gRPC's 16 KiB: an echo that could be tuned
// further would be no limit.
inline constexpr int kFrameBytes = 4 << 20;

// A call that takes longer than this has failed.
inline constexpr std::chrono::seconds kDeadline(60);

// Ends the program.
[[noreturn]] void Die(std::string_view why);

// `bytes` without a copy; they must outlive the buffer and every call of it.
grpc::ByteBuffer Borrow(std::string_view bytes);

// A connection that no other channel of this process shares.
std::shared_ptr<grpc::Channel> Open(const std::string& address);

// One method behind a channel, called as the stubs that gRPC generates call
// theirs. Thread-safe.
class RawMethod {
 public:
  RawMethod(std::shared_ptr<grpc::Channel> channel, std::string name);

  // Waits for the reply.
  grpc::Status Call(const grpc::ByteBuffer& request,
                    grpc::ByteBuffer* reply) const;
  // INTERNAL unless the reply has `reply_bytes`.
  grpc::Status CallFor(size_t reply_bytes,
                       const grpc::ByteBuffer& request) const;

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  const std::string name_;
  const grpc::internal::RpcMethod method_;
};

// Sends all messages and reads whatever is answered meanwhile; `received` is
// the sum of the answers' bytes.
grpc::Status CallStream(const std::shared_ptr<grpc::Channel>& channel,
                        const std::string& method,
                        std::span<const grpc::ByteBuffer> messages,
                        size_t* received);

// Makes one call, or says why it failed.
using Caller = std::function<grpc::Status()>;

struct Times {
  // The first failure; then there are no times.
  grpc::Status status;
  // From the start of the first call to the end of the last.
  double wall_ms = 0;
  // Of each call.
  std::vector<double> ms;
};

// Each caller, in a thread of its own, makes one call that is not timed and
// then, all at once, `calls` that are.
Times TimeCalls(std::span<const Caller> callers, int calls);

// Since `start`.
double Milliseconds(Clock::time_point start);

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_WIRE_CALL_H_
