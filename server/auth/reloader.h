// Takes up what changes in files while lossd runs.

#ifndef LOSSD_SERVER_AUTH_RELOADER_H_
#define LOSSD_SERVER_AUTH_RELOADER_H_

#include <condition_variable>
#include <mutex>
#include <thread>

#include "server/auth/authenticator.h"
#include "server/auth/tls_certificates.h"

namespace lossd {

// Looks at the files each second, in a thread of its own. All functions are
// thread-safe.
class Reloader {
 public:
  // Both must outlive this; `certificates` may be null.
  Reloader(Authenticator& authenticator, TlsCertificates* certificates);
  ~Reloader();
  Reloader(const Reloader&) = delete;
  Reloader& operator=(const Reloader&) = delete;

  // Reads all of them soon, changed or not.
  void Reload();

 private:
  void Loop();
  void Load(bool changed_only);

  Authenticator& authenticator_;
  TlsCertificates* const certificates_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool wanted_ = false;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_AUTH_RELOADER_H_
