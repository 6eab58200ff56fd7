#include "server/auth/authenticator.h"

#include <grpcpp/security/auth_context.h>

#include <string_view>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/core/status_macros.h"
#include "server/error_details.h"
#include "server/logging.h"
#include "server/status_adapter.h"

namespace lossd {
namespace {

// As metadata is spelt in HTTP/2.
constexpr char kAuthorization[] = "authorization";
constexpr absl::string_view kBearer = "Bearer ";

absl::StatusOr<Identity> ByToken(const Identities& identities,
                                 const grpc::string_ref& value) {
  const absl::string_view text(value.data(), value.length());
  if (!absl::StartsWithIgnoreCase(text, kBearer)) {
    return NotAuthenticated(
        "metadata authorization: allowed is one \"Bearer TOKEN\"");
  }
  const absl::string_view token = text.substr(kBearer.size());
  const Identity* found =
      identities.FindToken(std::string_view(token.data(), token.size()));
  if (found == nullptr) {
    return NotAuthenticated("metadata authorization: nobody has this token");
  }
  return *found;
}

// All that the certificate of the connection is called; empty without one.
std::vector<std::string> CertificateNames(
    const grpc::CallbackServerContext& call) {
  std::vector<std::string> names;
  const std::shared_ptr<const grpc::AuthContext> peer = call.auth_context();
  if (peer == nullptr || !peer->IsPeerAuthenticated()) return names;
  for (const char* property :
       {"x509_subject_alternative_name", "x509_common_name"}) {
    for (const grpc::string_ref& name : peer->FindPropertyValues(property)) {
      names.emplace_back(name.data(), name.length());
    }
  }
  return names;
}

}  // namespace

Authenticator::Authenticator(const std::string& file)
    : file_(file), watched_({file}) {}

absl::Status Authenticator::Load() {
  if (file_.empty()) return absl::OkStatus();
  watched_.Changed();
  const std::shared_ptr<const Identities> before = Current();
  absl::StatusOr<std::string> text = ReadSmallFile(file_);
  if (absl::IsUnavailable(text.status())) watched_.Forget();
  LOSSD_RETURN_IF_ERROR(text.status());
  absl::StatusOr<std::shared_ptr<const Identities>> identities =
      Identities::Parse(*text, before.get());
  if (!identities.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat(file_, ": ", identities.status().message()));
  }
  LogInfo("identities",
          {{"file", file_},
           {"identities", static_cast<int64_t>((*identities)->all().size())}});
  const std::lock_guard lock(mutex_);
  identities_ = *std::move(identities);
  return absl::OkStatus();
}

absl::Status Authenticator::LoadIfChanged() {
  if (file_.empty() || !watched_.Changed()) return absl::OkStatus();
  return Load();
}

std::shared_ptr<const Identities> Authenticator::Current() const {
  const std::lock_guard lock(mutex_);
  return identities_;
}

absl::StatusOr<Identity> Authenticator::Identify(
    const grpc::CallbackServerContext& call) const {
  if (file_.empty()) return Identity();
  const std::shared_ptr<const Identities> identities = Current();
  const auto& metadata = call.client_metadata();
  const auto [first, last] = metadata.equal_range(kAuthorization);
  if (first != last) {
    if (std::next(first) != last) {
      return NotAuthenticated("metadata authorization: given twice");
    }
    return ByToken(*identities, first->second);
  }
  const std::vector<std::string> names = CertificateNames(call);
  for (const std::string& name : names) {
    const Identity* found = identities->FindName(name);
    if (found != nullptr && !found->has_token) return *found;
  }
  if (names.empty()) {
    return NotAuthenticated(
        "metadata authorization is missing, allowed: \"Bearer TOKEN\"");
  }
  return NotAllowed(absl::StrCat("the client's certificate is that of ",
                                 CutText(absl::StrJoin(names, ", "), 200),
                                 ", who may not call"));
}

}  // namespace lossd
