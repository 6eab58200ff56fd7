// How many calls each client has open.

#ifndef LOSSD_SERVER_LISTEN_OPEN_CALLS_H_
#define LOSSD_SERVER_LISTEN_OPEN_CALLS_H_

#include <cstddef>
#include <functional>
#include <mutex>
#include <string>
#include <unordered_map>
#include <utility>

namespace lossd {

// Finds clients that reset calls faster than the server can end them. gRPC
// counts a call that is reset no more, so that one connection can fill the
// server with them (CVE-2023-44487). Thread-safe.
class OpenCalls {
 public:
  // `close` gets the name of each client that comes to have more than `most`
  // calls, on the thread of the last one.
  OpenCalls(size_t most, std::function<void(const std::string&)> close)
      : most_(most), close_(std::move(close)) {}
  // No call may be left.
  ~OpenCalls();
  OpenCalls(const OpenCalls&) = delete;
  OpenCalls& operator=(const OpenCalls&) = delete;

  // A call, open from construction to destruction.
  class Call {
   public:
    // `calls` must outlive this. `peer` is the client as gRPC names it.
    Call(OpenCalls& calls, std::string peer);
    ~Call();
    Call(const Call&) = delete;
    Call& operator=(const Call&) = delete;

   private:
    OpenCalls& calls_;
    const std::string peer_;
  };

 private:
  const size_t most_;
  const std::function<void(const std::string&)> close_;
  std::mutex mutex_;
  std::unordered_map<std::string, size_t> open_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_LISTEN_OPEN_CALLS_H_
