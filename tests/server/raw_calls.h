// Calls below the generated stubs: bytes to a method by its path, and HTTP.

#ifndef LOSSD_TESTS_SERVER_RAW_CALLS_H_
#define LOSSD_TESTS_SERVER_RAW_CALLS_H_

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/sync_stream.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace lossd {

inline constexpr char kComputePath[] = "/lossd.v1.LossService/Compute";
inline constexpr char kHealthPath[] = "/grpc.health.v1.Health/Check";
// grpc.health.v1.HealthCheckResponse.
inline constexpr char kServing[] = "\x08\x01";
inline constexpr char kNotServing[] = "\x08\x02";

std::shared_ptr<grpc::Channel> Connect(const std::string& address);

// What a server says in its first frame, by the settings' numbers (RFC 9113,
// 6.5.2).
std::map<uint32_t, uint32_t> Http2SettingsOf(const std::string& address);

// A unary call. `reply` may be null.
grpc::Status CallRaw(const std::shared_ptr<grpc::Channel>& channel,
                     const std::string& path, const std::string& request,
                     std::string* reply);

// A call that is a stream as the client sees it: the caller decides when and
// what to send.
class RawStream {
 public:
  RawStream(std::shared_ptr<grpc::Channel> channel, const char* path);
  ~RawStream();

  bool Write(const std::string& message);
  void WritesDone() { stream_->WritesDone(); }
  // False at the end of the replies.
  bool Read(std::string* message);
  grpc::Status Finish() { return stream_->Finish(); }

 private:
  const std::shared_ptr<grpc::Channel> channel_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>>
      stream_;
};

// Sends these messages, and gives what the call ends with.
grpc::Status CallStream(const std::shared_ptr<grpc::Channel>& channel,
                        const char* path,
                        const std::vector<std::string>& messages,
                        std::vector<std::string>* replies);

struct HttpReply {
  int code = 0;
  std::string body;
};

// `address` is HOST:PORT. Code 0: nobody answers.
HttpReply HttpGet(const std::string& address, const std::string& path);

// A TCP connection on which the client says nothing; closed with this.
class SilentConnection {
 public:
  SilentConnection() = default;
  ~SilentConnection();
  SilentConnection(const SilentConnection&) = delete;
  SilentConnection& operator=(const SilentConnection&) = delete;

  // `address` is HOST:PORT with a number for the host, IPv4. Fails the test if
  // nobody listens there.
  void Open(const std::string& address);
  // Whether the server has closed it.
  bool Ended() const;

 private:
  int number_ = -1;
};

}  // namespace lossd

#endif  // LOSSD_TESTS_SERVER_RAW_CALLS_H_
