#include "server/server.h"

#include <grpc/grpc.h>
#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/resource.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "lib/core/numerics.h"
#include "lib/core/status_macros.h"
#include "proto/wire/http2_settings.h"
#include "proto/wire/stream_limits.h"
#include "server/cpu_budget.h"
#include "server/listen/call_counter.h"
#include "server/listen/tcp_sockets.h"
#include "server/logging.h"
#include "server/memory_limit.h"
#include "server/selftest.h"
#include "server/version.h"

namespace lossd {
namespace {

// Calls that wait to be computed, or are.
constexpr size_t kMaxJobs = 4096;

// Calls that wait for memory.
constexpr int64_t kMaxWaiting = 1024;

// Of the message of a call that nobody reads yet, about.
constexpr int64_t kUnreadBytes = int64_t{256} << 10;

// What gRPC needs for connections and calls, whatever they send. Where it lacks
// it resets streams with RESOURCE_EXHAUSTED, which callers do not try again.
constexpr int64_t kForConnections = int64_t{128} << 20;

// Memory that is kept for the next replies.
constexpr int64_t kMaxFreeBytes = int64_t{512} << 20;

// What connections get to close by themselves when no loss is in flight.
constexpr std::chrono::seconds kLinger(1);

// How long a connection with calls may be silent before the server asks whether
// the client is there, and how long the client may take to answer.
constexpr int kKeepaliveMilliseconds = 20'000;

// How long a client may take for TLS and its first frame.
constexpr int kHandshakeMilliseconds = 10'000;

// Of one call.
constexpr int kMaxMetadataBytes = 8 << 10;

// Most calls at a time on one connection; a client's further ones wait there.
constexpr int kMaxStreams = 128;

// Most calls of one connection that have not ended here. gRPC no longer counts
// those that were reset.
constexpr size_t kMaxOpenCalls = size_t{4} * kMaxStreams;

// More calls of reflection at a time are refused.
constexpr int kMaxReflectionThreads = 16;

// The name under which health checks ask for the service.
constexpr char kServiceName[] = "lossd.v1.LossService";

absl::StatusOr<std::vector<ListenAddress>> ParseAll(
    const std::vector<std::string>& texts) {
  std::vector<ListenAddress> addresses;
  for (const std::string& text : texts) {
    absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
    if (!address.ok()) return address.status();
    for (const ListenAddress& other : addresses) {
      if (!SameSocket(*address, other)) continue;
      return absl::InvalidArgumentError(
          absl::StrCat("cannot listen on ", text, " twice"));
    }
    addresses.push_back(*std::move(address));
  }
  return addresses;
}

// An empty address for an empty text: nowhere.
absl::StatusOr<ListenAddress> ParseArenaListen(
    const std::string& text, const std::vector<ListenAddress>& listen) {
  if (text.empty()) return ListenAddress();
  absl::StatusOr<ListenAddress> address = ParseListenAddress(text);
  if (!address.ok()) return address;
  for (const ListenAddress& other : listen) {
    if (!SameSocket(*address, other)) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("cannot serve arenas on ", other.text,
                     ", where RPCs are to be served"));
  }
  return address;
}

// As clients in other folders find it.
std::string AbsoluteText(const ListenAddress& address) {
  if (address.unix_path.empty()) return address.text;
  return absl::StrCat("unix:",
                      std::filesystem::absolute(address.unix_path).string());
}

// Requests need memory, too: arenas leave room for the largest call of a client
// that does not announce its size, and for a stream.
ArenaLimits ArenaLimitsOf(int64_t memory_budget, int64_t max_message_bytes) {
  const int64_t left = memory_budget - max_message_bytes - wire::kStreamBytes;
  return {.arenas_per_owner = 64,
          .bytes_per_owner = std::min(memory_budget / 4, left),
          .arenas = 1024,
          .bytes = std::min(memory_budget / 2, left)};
}

// The others are for arenas, files and HTTP.
size_t MostConnections(int wanted) {
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  return static_cast<size_t>(
      std::min<rlim_t>(static_cast<rlim_t>(wanted), files.rlim_cur / 4 * 3));
}

// gRPC's library of it turns reflection on in whatever it is linked to.
class WithoutReflection final : public grpc::ServerBuilderOption {
  void UpdateArguments(grpc::ChannelArguments* /*arguments*/) override {}
  void UpdatePlugins(std::vector<std::unique_ptr<grpc::ServerBuilderPlugin>>*
                         plugins) override {
    std::erase_if(*plugins, [](const auto& plugin) {
      return plugin->name() == "proto_server_reflection";
    });
  }
};

// What waits has part of its message in memory, outside the budget.
size_t MostWaiting(int64_t memory_budget) {
  return static_cast<size_t>(
      std::clamp(memory_budget / 4 / kUnreadBytes, int64_t{1}, kMaxWaiting));
}

absl::Status CheckLoopback(const std::vector<ListenAddress>& listen) {
  for (const ListenAddress& address : listen) {
    if (!address.unix_path.empty()) continue;
    const absl::StatusOr<bool> loopback = IsLoopback(address);
    LOSSD_RETURN_IF_ERROR(loopback.status());
    if (*loopback) continue;
    return absl::InvalidArgumentError(absl::StrCat(
        "--listen ", address.text,
        " can be reached from other machines: give --tls_certificate and "
        "--tls_key, or --allow_plaintext where the network is trusted"));
  }
  return absl::OkStatus();
}

std::chrono::duration<double> Seconds(double seconds) {
  return std::chrono::duration<double>(seconds);
}

}  // namespace

absl::StatusOr<std::unique_ptr<Server>> Server::Start(
    const ServerOptions& options) {
  const absl::StatusOr<std::vector<ListenAddress>> listen =
      ParseAll(options.listen);
  if (!listen.ok()) return listen.status();
  const absl::StatusOr<ListenAddress> arena_listen =
      ParseArenaListen(options.arena_listen, *listen);
  if (!arena_listen.ok()) return arena_listen.status();
  const int budget = CpuBudget();
  // More threads than CPUs wait for each other at the end of every pass.
  const int threads =
      options.threads > 0 ? std::min(options.threads, budget) : budget;
  const int64_t memory_budget =
      options.memory_budget > 0 ? options.memory_budget : MemoryLimit() / 2;
  std::unique_ptr<Server> server(
      new Server(options, threads, memory_budget, AbsoluteText(*arena_listen)));
  LOSSD_RETURN_IF_ERROR(server->LoadAccess(*listen));
  // Clients wait until it serves.
  const size_t max_connections = MostConnections(options.max_connections);
  absl::StatusOr<std::unique_ptr<RpcListener>> listener = RpcListener::Listen(
      {.addresses = *listen,
       .group = options.socket_group,
       .max_connections = max_connections,
       .unacknowledged_milliseconds = kKeepaliveMilliseconds});
  LOSSD_RETURN_IF_ERROR(listener.status());
  server->listener_ = *std::move(listener);
  server->addresses_ = server->listener_->addresses();
  // Before somebody can ask for its figures.
  if (!options.arena_listen.empty()) {
    LOSSD_RETURN_IF_ERROR(server->ListenForArenas(*arena_listen));
  }
  if (!options.metrics_listen.empty()) {
    const absl::StatusOr<ListenAddress> address =
        ParseListenAddress(options.metrics_listen);
    if (!address.ok()) return address.status();
    absl::StatusOr<std::unique_ptr<AdminHttp>> http =
        AdminHttp::Start(*address, server->Pages());
    if (!http.ok()) return http.status();
    server->http_ = *std::move(http);
  }
  // gRPC's health service says "serving" as soon as it listens.
  LOSSD_RETURN_IF_ERROR(RunSelfTest());
  LOSSD_RETURN_IF_ERROR(server->Serve());
  if (!Reproducible()) {
    LogWarning("not_reproducible",
               {{"message",
                 "this machine has no fused multiply-add: bits may "
                 "differ from those of other machines"}});
  }
  LogInfo("serving",
          {{"version", kVersion},
           {"listen", server->addresses_},
           {"arena_listen", options.arena_listen},
           {"metrics_listen", server->metrics_address()},
           {"threads", threads},
           {"threads_wanted", options.threads},
           {"cpu_budget", budget},
           {"simd", std::string(SimdTarget())},
           {"numerics_version", std::string(NumericsVersion())},
           {"max_connections", static_cast<int64_t>(max_connections)},
           {"max_message_bytes", options.max_message_bytes},
           {"max_items", options.max_items},
           {"memory_budget", memory_budget},
           {"drain_delay", options.drain_delay},
           {"drain_timeout", options.drain_timeout},
           {"log_level", options.log_level}});
  return server;
}

Server::Server(const ServerOptions& options, int threads, int64_t memory_budget,
               const std::string& arena_address)
    : options_(options),
      metrics_(threads, !options.tls_certificate.empty()),
      limits_{threads, options.max_items, options.max_message_bytes},
      authenticator_(options.identities),
      budget_(memory_budget, MostWaiting(memory_budget)),
      arenas_(ArenaLimitsOf(memory_budget, options.max_message_bytes), budget_),
      pool_(std::min(kMaxFreeBytes, memory_budget / 4)),
      readiness_(kMaxJobs),
      open_calls_(kMaxOpenCalls,
                  [this](const std::string& peer) { listener_->Close(peer); }),
      scheduler_(
          {.threads = threads, .max_jobs = kMaxJobs},
          [this](size_t jobs) { SetJobs(jobs); },
          [this](size_t units, double seconds) {
            metrics_.resources().CountWork(units, seconds);
          },
          [this] { pool_.TrimIdle(); }),
      context_{scheduler_,     budget_,
               pool_,          metrics_,
               limits_,        abandon_,
               authenticator_, arena_address.empty() ? nullptr : &arenas_,
               arena_address},
      service_(context_),
      unknown_(metrics_) {}

Server::~Server() { Shutdown(); }

void Server::SetJobs(size_t jobs) {
  metrics_.resources().SetQueueDepth(jobs);
  const bool ready = readiness_.ready();
  readiness_.SetJobs(jobs);
  if (readiness_.ready() != ready) {
    grpc_->GetHealthCheckService()->SetServingStatus(!ready);
  }
}

std::string Server::metrics_address() const {
  return http_ != nullptr ? http_->address() : "";
}

absl::Status Server::LoadAccess(const std::vector<ListenAddress>& listen) {
  LOSSD_RETURN_IF_ERROR(authenticator_.Load());
  if (!options_.tls_certificate.empty()) {
    absl::StatusOr<std::unique_ptr<TlsCertificates>> tls =
        TlsCertificates::Read({.certificate = options_.tls_certificate,
                               .key = options_.tls_key,
                               .client_ca = options_.tls_client_ca});
    LOSSD_RETURN_IF_ERROR(tls.status());
    tls_ = *std::move(tls);
  } else if (!options_.allow_plaintext) {
    LOSSD_RETURN_IF_ERROR(CheckLoopback(listen));
  }
  if (tls_ == nullptr && options_.identities.empty()) return absl::OkStatus();
  reloader_ = std::make_unique<Reloader>(authenticator_, tls_.get());
  return absl::OkStatus();
}

absl::Status Server::ListenForArenas(const ListenAddress& address) {
  const int64_t budget = budget_.figures().budget;
  if (ArenaLimitsOf(budget, options_.max_message_bytes).bytes <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "--arena_listen: a memory budget of ", budget,
        " bytes leaves no room for arenas beside a message of ",
        options_.max_message_bytes, " and a stream of ", wire::kStreamBytes,
        ": raise --memory_budget or lower --max_message_bytes"));
  }
  absl::StatusOr<std::unique_ptr<ArenaListener>> listener =
      ArenaListener::Start({.address = address, .group = options_.socket_group},
                           arenas_);
  if (!listener.ok()) return listener.status();
  arena_listener_ = *std::move(listener);
  return absl::OkStatus();
}

absl::Status Server::Serve() {
  grpc::EnableDefaultHealthCheckService(true);
  grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  grpc::ServerBuilder builder;
  builder.SetMaxReceiveMessageSize(
      static_cast<int>(options_.max_message_bytes));
  // A megabyte of gzip can inflate to a gigabyte, outside every limit.
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_DEFLATE, false);
  builder.SetCompressionAlgorithmSupportStatus(GRPC_COMPRESS_GZIP, false);
  // Behind the budget, for what is not as it was announced: a message that is
  // too large is buffered before it is refused.
  grpc::ResourceQuota quota("lossd");
  const int64_t budget = budget_.figures().budget;
  quota.Resize(
      static_cast<size_t>(budget + std::max(budget / 4, kForConnections)));
  // Reflection alone uses them, one a call; lossd's own calls need none.
  quota.SetMaxThreads(kMaxReflectionThreads);
  builder.SetResourceQuota(quota);
  // A client that is gone without a word gives its memory back.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS,
                             kKeepaliveMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS,
                             kKeepaliveMilliseconds);
  // Also one without calls, which would keep its place for ever.
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kMaxStreams);
  builder.AddChannelArgument(GRPC_ARG_SERVER_HANDSHAKE_TIMEOUT_MS,
                             kHandshakeMilliseconds);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, kMaxMetadataBytes);
  wire::SetHttp2([&builder](const char* name, int number) {
    builder.AddChannelArgument(name, number);
  });
  if (!options_.reflection) {
    builder.SetOption(std::make_unique<WithoutReflection>());
  }
  std::vector<
      std::unique_ptr<grpc::experimental::ServerInterceptorFactoryInterface>>
      interceptors;
  interceptors.push_back(std::make_unique<CallCounterFactory>(open_calls_));
  builder.experimental().SetInterceptorCreators(std::move(interceptors));
  builder.RegisterService(&service_);
  builder.RegisterCallbackGenericService(&unknown_);
  listener_->AddTo(builder, tls_ != nullptr
                                ? tls_->Credentials()
                                : grpc::InsecureServerCredentials());
  grpc_ = builder.BuildAndStart();
  if (grpc_ == nullptr) return absl::InternalError("gRPC did not start");
  listener_->Serve();
  grpc_->GetHealthCheckService()->SetServingStatus(kServiceName, true);
  readiness_.Serve();
  return absl::OkStatus();
}

void Server::Shutdown() {
  std::unique_lock lock(mutex_);
  if (std::exchange(shut_down_, true) || grpc_ == nullptr) return;
  LogInfo("draining", {{"drain_delay", options_.drain_delay},
                       {"drain_timeout", options_.drain_timeout}});
  readiness_.Drain();
  grpc_->GetHealthCheckService()->Shutdown();
  changed_.wait_for(lock, Seconds(options_.drain_delay),
                    [this] { return abandon_.load(); });
  lock.unlock();
  listener_->Stop();
  AwaitDrained();
  LogInfo("stopped", {});
}

void Server::AwaitDrained() {
  const auto deadline =
      std::chrono::system_clock::now() +
      std::chrono::duration_cast<std::chrono::system_clock::duration>(
          Seconds(options_.drain_timeout));
  std::thread shutdown([this, deadline] {
    grpc_->Shutdown(deadline);
    const std::lock_guard lock(mutex_);
    drained_ = true;
    changed_.notify_all();
  });
  // Calls of Compute end by themselves, but a health watch lasts as long as its
  // client likes, and gRPC would wait for it until the deadline. Its core can
  // cancel calls earlier.
  std::unique_lock lock(mutex_);
  auto last_busy = std::chrono::steady_clock::now();
  while (!drained_) {
    const auto now = std::chrono::steady_clock::now();
    if (metrics_.rpcs().in_flight() > 0) last_busy = now;
    if (abandon_ || now - last_busy > kLinger) {
      grpc_server_cancel_all_calls(grpc_->c_server());
    }
    changed_.wait_for(lock, std::chrono::milliseconds(10));
  }
  lock.unlock();
  shutdown.join();
}

void Server::Reload() {
  if (reloader_ != nullptr) reloader_->Reload();
}

void Server::Hurry() {
  const std::lock_guard lock(mutex_);
  abandon_ = true;
  changed_.notify_all();
}

}  // namespace lossd
