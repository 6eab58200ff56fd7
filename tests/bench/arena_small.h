// A call that costs what a round trip costs: a small loss in an arena, as
// bytes, beside an echo of as many bytes.

#ifndef LOSSD_TESTS_BENCH_ARENA_SMALL_H_
#define LOSSD_TESTS_BENCH_ARENA_SMALL_H_

#include <cstddef>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "client/arena/arena_socket.h"
#include "tests/bench/wire_call.h"

namespace lossd::bench {

// Thread-safe.
class ArenaSmall {
 public:
  // mean_squared_error of `elements` elements, which are zeros, with gradient.
  static absl::StatusOr<ArenaSmall> Make(const std::string& address,
                                         const std::string& echo_address,
                                         size_t elements);

  // Both send the same bytes and get as many as the other.
  grpc::Status CallServer() const;
  grpc::Status CallEcho() const;

  size_t request_bytes() const { return request_.Length(); }
  size_t reply_bytes() const { return reply_bytes_; }

 private:
  ArenaSmall(std::shared_ptr<client_internal::ArenaSocket> socket,
             std::shared_ptr<const RawMethod> compute,
             std::shared_ptr<const RawMethod> echo, grpc::ByteBuffer request,
             size_t reply_bytes);

  // The server's arena lives as long.
  std::shared_ptr<client_internal::ArenaSocket> socket_;
  std::shared_ptr<const RawMethod> compute_;
  std::shared_ptr<const RawMethod> echo_;
  grpc::ByteBuffer request_;
  size_t reply_bytes_;
};

}  // namespace lossd::bench

#endif  // LOSSD_TESTS_BENCH_ARENA_SMALL_H_
