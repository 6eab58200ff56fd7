#include "server/auth/identities.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>

#include <cstdint>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "lib/core/status_macros.h"

namespace lossd {
namespace {

// Tokens that can be guessed are none.
constexpr size_t kShortestToken = 16;

std::string Digest(std::string_view text) {
  std::string digest(SHA256_DIGEST_LENGTH, '\0');
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(),
         reinterpret_cast<unsigned char*>(digest.data()));
  return digest;
}

absl::Status Refuse(const std::string& why) {
  return absl::InvalidArgumentError(why);
}

}  // namespace

absl::Status Identities::ParseLine(std::string_view line,
                                   const Identities* before,
                                   std::vector<Size>* sizes) {
  const absl::string_view text(line.data(), line.size());
  const std::vector<std::string> words =
      absl::StrSplit(text.substr(0, text.find('#')), absl::ByAnyChar(" \t\r"),
                     absl::SkipEmpty());
  if (words.empty()) return absl::OkStatus();
  const auto [entry, is_new] = identities_.try_emplace(
      words[0], Identity{.name = words[0], .use = nullptr, .share = nullptr});
  if (!is_new) return Refuse(absl::StrCat(words[0], " is named twice"));
  Identity& identity = entry->second;
  if (absl::StrContains(identity.name, '=')) {
    return Refuse("a line begins with a name");
  }
  const Identity* old =
      before != nullptr ? before->FindName(identity.name) : nullptr;
  identity.use = old != nullptr ? old->use : std::make_shared<IdentityUse>();
  identity.share =
      old != nullptr ? old->share : std::make_shared<MemoryShare>();
  int64_t limit = MemoryShare::kUnlimited;
  for (size_t i = 1; i < words.size(); ++i) {
    absl::string_view value = words[i];
    int64_t bytes = 0;
    if (absl::ConsumePrefix(&value, "token=") && !identity.has_token) {
      identity.has_token = true;
      if (value.size() < kShortestToken) {
        return Refuse(absl::StrCat("the token of ", identity.name,
                                   " is shorter than ", kShortestToken,
                                   " bytes"));
      }
      const std::string_view token(value.data(), value.size());
      if (FindToken(token) != nullptr) {
        return Refuse(
            absl::StrCat("the token of ", identity.name, " is another's, too"));
      }
      tokens_.push_back({Digest(token), &identity});
    } else if (absl::ConsumePrefix(&value, "max_bytes=") &&
               limit == MemoryShare::kUnlimited &&
               absl::SimpleAtoi(value, &bytes) && bytes > 0) {
      limit = bytes;
    } else {
      // The word may hold a token.
      return Refuse(absl::StrCat("word ", i + 1, " of ", identity.name,
                                 ": allowed are one token=TOKEN and one "
                                 "max_bytes=BYTES"));
    }
  }
  sizes->push_back({identity.share, limit});
  return absl::OkStatus();
}

absl::StatusOr<std::shared_ptr<const Identities>> Identities::Parse(
    std::string_view text, const Identities* before) {
  auto identities = std::make_shared<Identities>();
  std::vector<Size> sizes;
  int number = 0;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(text.data(), text.size()), '\n')) {
    ++number;
    const absl::Status status = identities->ParseLine(
        std::string_view(line.data(), line.size()), before, &sizes);
    if (!status.ok()) {
      return Refuse(absl::StrCat("line ", number, ": ", status.message()));
    }
  }
  if (identities->identities_.empty()) return Refuse("it names nobody");
  for (const Size& size : sizes) size.share->Resize(size.bytes);
  return identities;
}

const Identity* Identities::FindToken(std::string_view token) const {
  const std::string digest = Digest(token);
  const Identity* found = nullptr;
  for (const Token& each : tokens_) {
    if (CRYPTO_memcmp(each.digest.data(), digest.data(), digest.size()) == 0) {
      found = each.identity;
    }
  }
  return found;
}

const Identity* Identities::FindName(const std::string& name) const {
  const auto found = identities_.find(name);
  return found != identities_.end() ? &found->second : nullptr;
}

}  // namespace lossd
