// The messages of a ComputeStream as a ClientResult. Internal to the client.

#ifndef LOSSD_CLIENT_CHUNKED_REPLY_H_
#define LOSSD_CLIENT_CHUNKED_REPLY_H_

#include <grpcpp/support/byte_buffer.h>

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "lossd/v1/loss_service.pb.h"
#include "proto/wire/payloads.h"

namespace lossd::client_internal {

// OK if `row_losses` may be one element for each row, whatever a row is; else
// INVALID_ARGUMENT.
absl::Status CheckRowLossesBefore(const LossCall& call);

// Takes the messages and writes what they bring to the destinations of the
// call, which must outlive this and have been checked. For one thread.
class ChunkedReply {
 public:
  // `target` begins the messages of errors that are the server's.
  ChunkedReply(const LossCall& call, std::string target);

  // The next message. INTERNAL if it is none or not the next one;
  // INVALID_ARGUMENT for row losses of which there are more than places.
  absl::Status Accept(const grpc::ByteBuffer& body);

  // After the last message. What Accept did not fail with: INTERNAL if
  // something is missing, INVALID_ARGUMENT for row losses of another number of
  // rows and extra gradients that there are none of.
  absl::StatusOr<ClientResult> Finish();

 private:
  struct Destination {
    // As chunks call it, and as the call does.
    std::string name;
    std::string field;
    // Null for what comes without being wanted.
    std::byte* data = nullptr;
    size_t bytes = 0;
    size_t element_bytes = 0;
    size_t received = 0;
  };

  absl::Status AcceptChunk(const v1::StreamChunk& chunk,
                           const wire::Payload& payload);
  absl::Status CheckComplete() const;
  absl::Status Broken(const std::string& what) const;

  const LossCall& call_;
  const std::string target_;
  std::vector<Destination> destinations_;
  // The last message.
  std::optional<v1::ComputeStreamResponse> last_;
};

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_CHUNKED_REPLY_H_
