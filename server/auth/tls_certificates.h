// The certificates of TLS, which may change while lossd runs.

#ifndef LOSSD_SERVER_AUTH_TLS_CERTIFICATES_H_
#define LOSSD_SERVER_AUTH_TLS_CERTIFICATES_H_

#include <grpcpp/security/server_credentials.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proto/arena/descriptor.h"
#include "server/auth/watched_files.h"

namespace lossd {

// Reads and checks files in PEM, and hands them to gRPC, which by itself would
// take certificates that do not fit their key, and then refuse all clients.
// Thread-safe but for Load and LoadIfChanged, which are for one thread at a
// time.
class TlsCertificates {
 public:
  struct Files {
    // The server's, followed by those between it and the root.
    std::string certificate;
    std::string key;
    // Of those who certify clients; empty: clients need none.
    std::string client_ca;
  };
  struct Figures {
    // When the server's certificate expires, in seconds since 1970.
    int64_t not_after = 0;
    uint64_t reloads = 0;
    uint64_t failed_reloads = 0;
  };

  // INVALID_ARGUMENT, one line that names the file, never its contents.
  static absl::StatusOr<std::unique_ptr<TlsCertificates>> Read(Files files);

  // Of listeners. New connections see what was loaded last, within a second.
  std::shared_ptr<grpc::ServerCredentials> Credentials() const;

  // Reads the files again. INVALID_ARGUMENT as Read; what was in force before
  // still is.
  absl::Status Load();
  // As Load, if a file is another one than when it was last read.
  absl::Status LoadIfChanged();

  Figures figures() const;

 private:
  TlsCertificates(Files files, Descriptor identity, Descriptor client_ca);
  absl::Status LoadUncounted();

  const Files files_;
  WatchedFiles watched_;
  // Files in memory, which gRPC watches: what they hold has been checked.
  const Descriptor identity_;
  const Descriptor client_ca_;
  std::atomic<int64_t> not_after_ = 0;
  std::atomic<uint64_t> reloads_ = 0;
  std::atomic<uint64_t> failed_reloads_ = 0;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_AUTH_TLS_CERTIFICATES_H_
