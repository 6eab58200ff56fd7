// Who calls.

#ifndef LOSSD_SERVER_AUTH_AUTHENTICATOR_H_
#define LOSSD_SERVER_AUTH_AUTHENTICATOR_H_

#include <grpcpp/server_context.h>

#include <memory>
#include <mutex>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/auth/identities.h"
#include "server/auth/watched_files.h"

namespace lossd {

// Lets in whom a file of identities names, by the token that a call brings, or
// else by the certificate of its connection. All functions are thread-safe.
class Authenticator {
 public:
  // Without a file everybody may call, as nobody in particular.
  explicit Authenticator(const std::string& file);

  // Reads the file. INVALID_ARGUMENT, one line that names it, if that is not
  // possible, UNAVAILABLE if it is not now; who could call before then still
  // can.
  absl::Status Load();
  // As Load, if the file is another one than when it was last read.
  absl::Status LoadIfChanged();

  // UNAUTHENTICATED for a call without a token or with one that nobody has,
  // PERMISSION_DENIED for a certificate whose names are not in the file.
  absl::StatusOr<Identity> Identify(
      const grpc::CallbackServerContext& call) const;

  // As they were last read; null without a file.
  std::shared_ptr<const Identities> Current() const;

 private:
  const std::string file_;
  WatchedFiles watched_;
  mutable std::mutex mutex_;
  std::shared_ptr<const Identities> identities_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_AUTH_AUTHENTICATOR_H_
