// What a server says over HTTP.

#include <chrono>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "lib/core/numerics.h"
#include "server/admin/admin_page.h"
#include "server/catalog.h"
#include "server/config/options.h"
#include "server/logging.h"
#include "server/server.h"
#include "server/version.h"

namespace lossd {
namespace {

// The version that Prometheus's text format has.
constexpr char kMetricsType[] = "text/plain; version=0.0.4; charset=utf-8";
constexpr char kHtmlType[] = "text/html; charset=utf-8";

// A round takes milliseconds, and an idle scheduler looks each ten seconds.
constexpr std::chrono::seconds kDead(30);

AdminRows Losses() {
  AdminRows rows;
  for (const v1::LossInfo& loss : Catalog::Get().list().losses()) {
    rows.emplace_back(loss.name(), loss.summary());
  }
  return rows;
}

}  // namespace

AdminPages Server::Pages() {
  return {{"/", [this] { return OverviewPage(); }},
          {"/healthz", [this] { return ReadinessPage(); }},
          {"/livez", [this] { return LivenessPage(); }},
          {"/metrics", [this] { return MetricsPage(); }}};
}

AdminReply Server::MetricsPage() {
  metrics_.resources().SetMemory(budget_.figures(), pool_.figures());
  if (arena_listener_ != nullptr) {
    metrics_.resources().SetArenas(arenas_.figures(),
                                   arena_listener_->connections(),
                                   arena_listener_->refused_connections());
  }
  AccessMetrics& access = metrics_.access();
  access.SetConnections(listener_->connections(),
                        listener_->refused_connections());
  access.SetState(readiness_.draining(), DroppedLogLines());
  const auto identities = authenticator_.Current();
  if (identities != nullptr) metrics_.identities().Set(*identities);
  if (tls_ != nullptr) access.SetCertificates(tls_->figures());
  return {.content_type = kMetricsType, .body = metrics_.Text()};
}

AdminReply Server::ReadinessPage() const {
  if (!readiness_.serving()) return {.code = 503, .body = "not serving\n"};
  if (readiness_.crowded()) return {.code = 503, .body = "the queue is full\n"};
  return {.body = "serving\n"};
}

AdminReply Server::LivenessPage() const {
  if (scheduler_.SinceHeartbeat() < kDead) return {.body = "alive\n"};
  return {.code = 503, .body = "the scheduler does not move\n"};
}

AdminReply Server::OverviewPage() {
  const MemoryBudget::Figures memory = budget_.figures();
  const BufferPool::Figures pool = pool_.figures();
  const ArenaRegistry::Figures arenas = arenas_.figures();
  const std::chrono::duration<double> uptime =
      std::chrono::steady_clock::now() - start_;
  AdminRows config;
  for (auto& setting : Described(options_)) config.push_back(setting);
  const std::vector<AdminTable> tables = {
      {"This server",
       {{"version", kVersion},
        {"uptime", DurationText(uptime.count())},
        {"state", ReadinessPage().body},
        {"addresses", absl::StrJoin(addresses_, " ")},
        {"numerics version", std::string(NumericsVersion())},
        {"simd", std::string(SimdTarget())},
        {"compute threads", absl::StrCat(limits_.threads)}}},
      {"Load",
       {{"calls", absl::StrCat(metrics_.rpcs().in_flight())},
        {"connections", absl::StrCat(listener_->connections())},
        {"connections refused", absl::StrCat(listener_->refused_connections())},
        {"memory reserved",
         absl::StrCat(memory.reserved, " of ", memory.budget,
                      " bytes, at most ", memory.high_water, " so far")},
        {"calls waiting for memory", absl::StrCat(memory.waiting)},
        {"reply buffers",
         absl::StrCat(pool.used, " bytes used, ", pool.free, " free")},
        {"arenas",
         absl::StrCat(arenas.arenas, " of ", arenas.bytes, " bytes")}}},
      {"Configuration", std::move(config)},
      {"Losses", Losses()}};
  return {
      .content_type = kHtmlType,
      .body = AdminPage("lossd", {"/metrics", "/healthz", "/livez"}, tables)};
}

}  // namespace lossd
