#include "server/config/environment.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "server/config/edit_distance.h"

namespace lossd {
namespace {

// What lossctl asks, which containers set beside lossd's.
constexpr char kClientsOwn[] = "LOSSD_SERVER";

bool IsOfKubernetes(const std::string& name) {
  return absl::StrContains(name, "_SERVICE_HOST") ||
         absl::StrContains(name, "_SERVICE_PORT") ||
         absl::StrContains(name, "_PORT_") || absl::EndsWith(name, "_PORT");
}

}  // namespace

absl::Status CheckEnvironment(const std::vector<std::string>& known) {
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string text = *entry;
    const std::string name = text.substr(0, text.find('='));
    if (!absl::StartsWith(name, "LOSSD_") || name == kClientsOwn ||
        IsOfKubernetes(name) || std::ranges::count(known, name) > 0) {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat("the environment variable ",
                                                   name, " is unknown",
                                                   DidYouMean(name, known)));
  }
  return absl::OkStatus();
}

}  // namespace lossd
