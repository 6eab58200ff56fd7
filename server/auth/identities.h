// Who may call, and with how much at a time.

#ifndef LOSSD_SERVER_AUTH_IDENTITIES_H_
#define LOSSD_SERVER_AUTH_IDENTITIES_H_

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "server/memory_share.h"

namespace lossd {

// What a caller has done since the server started. Thread-safe.
struct IdentityUse {
  // Of the RPCs that compute.
  std::atomic<uint64_t> calls = 0;
  std::atomic<uint64_t> received_bytes = 0;
  // Refused for want of a share.
  std::atomic<uint64_t> throttled = 0;
};

// A caller that the file names.
struct Identity {
  std::string name;
  // Null for nobody in particular.
  std::shared_ptr<IdentityUse> use;
  // It calls with its token alone, not with a certificate of its name.
  bool has_token = false;
  // Of the bytes that it may have in flight; null for nobody in particular.
  std::shared_ptr<MemoryShare> share;

  // With whom its calls share the team's time: all connections of one identity
  // are one caller, else each peer is.
  const std::string& caller(const std::string& peer) const {
    return name.empty() ? peer : name;
  }
};

// What the file of --identities says. A line is a name and what it has:
//
//   trainer-a  token=KEY  max_bytes=1073741824
//
// in any order, each at most once; "#" begins a comment. Without a token the
// name is one of a client's certificate. Immutable; thread-safe.
class Identities {
 public:
  // INVALID_ARGUMENT, one line that names the line, never a token. Those of
  // `before` with the same names keep their shares, whose sizes may change, and
  // what they have done.
  static absl::StatusOr<std::shared_ptr<const Identities>> Parse(
      std::string_view text, const Identities* before);

  // Null if nobody has it. Takes as long whichever token it is.
  const Identity* FindToken(std::string_view token) const;
  const Identity* FindName(const std::string& name) const;

  // By name.
  const std::map<std::string, Identity>& all() const { return identities_; }

 private:
  // What a share is to have once the whole file is known to be in order.
  struct Size {
    std::shared_ptr<MemoryShare> share;
    int64_t bytes = 0;
  };

  absl::Status ParseLine(std::string_view line, const Identities* before,
                         std::vector<Size>* sizes);

  struct Token {
    // SHA-256.
    std::string digest;
    const Identity* identity = nullptr;
  };

  std::map<std::string, Identity> identities_;
  std::vector<Token> tokens_;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_AUTH_IDENTITIES_H_
