// A running lossd.

#ifndef LOSSD_SERVER_SERVER_H_
#define LOSSD_SERVER_SERVER_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "server/admin/admin_http.h"
#include "server/arena/arena_listener.h"
#include "server/arena/arena_registry.h"
#include "server/auth/authenticator.h"
#include "server/auth/reloader.h"
#include "server/auth/tls_certificates.h"
#include "server/buffer_pool.h"
#include "server/compute_handler.h"
#include "server/config/options.h"
#include "server/listen/listen_address.h"
#include "server/listen/open_calls.h"
#include "server/listen/rpc_listener.h"
#include "server/memory_budget.h"
#include "server/metrics/metrics.h"
#include "server/readiness.h"
#include "server/scheduler.h"
#include "server/service.h"

namespace lossd {

// Serves from Start to Shutdown: LossService, grpc.health.v1, reflection, and
// metrics over HTTP. All functions are thread-safe. A process that OpenMP did
// not find with OMP_WAIT_POLICY=passive burns CPU time between requests.
class Server {
 public:
  // Listens, tests itself, then serves. INVALID_ARGUMENT or
  // FAILED_PRECONDITION, one line, if the options do not allow it: an address
  // that is taken or malformed. INTERNAL if the self-test fails.
  static absl::StatusOr<std::unique_ptr<Server>> Start(
      const ServerOptions& options);

  // Shuts down if nobody has.
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // Where it listens, with the ports that were bound, in the options' order.
  const std::vector<std::string>& addresses() const { return addresses_; }
  // Empty when metrics are off.
  std::string metrics_address() const;

  // Says "not serving", waits for the drain delay, refuses new RPCs, and
  // returns when those in flight have ended, or have been cancelled because of
  // the drain timeout. Does nothing the second time.
  void Shutdown();

  // Reads certificates and identities again, now rather than when their files
  // change. The log says what came of it.
  void Reload();

  // Makes a Shutdown that is under way cancel what is in flight.
  void Hurry();

 private:
  // `arena_address` as GetServerInfo says it.
  Server(const ServerOptions& options, int threads, int64_t memory_budget,
         const std::string& arena_address);
  absl::Status LoadAccess(const std::vector<ListenAddress>& listen);
  absl::Status ListenForArenas(const ListenAddress& address);
  absl::Status Serve();
  void AwaitDrained();
  // server_pages.cc.
  AdminPages Pages();
  AdminReply MetricsPage();
  AdminReply OverviewPage();
  AdminReply ReadinessPage() const;
  AdminReply LivenessPage() const;
  void SetJobs(size_t jobs);

  const ServerOptions options_;
  const std::chrono::steady_clock::time_point start_ =
      std::chrono::steady_clock::now();
  // In the order of construction; destroyed the other way round.
  Metrics metrics_;
  const BatchLimits limits_;
  std::atomic<bool> abandon_ = false;
  Authenticator authenticator_;
  // Null without TLS.
  std::unique_ptr<TlsCertificates> tls_;
  MemoryBudget budget_;
  ArenaRegistry arenas_;
  BufferPool pool_;
  Readiness readiness_;
  OpenCalls open_calls_;
  Scheduler scheduler_;
  const ComputeContext context_;
  LossServiceImpl service_;
  UnknownMethodService unknown_;
  std::unique_ptr<ArenaListener> arena_listener_;
  std::unique_ptr<RpcListener> listener_;
  std::unique_ptr<AdminHttp> http_;
  std::unique_ptr<grpc::Server> grpc_;
  std::unique_ptr<Reloader> reloader_;
  std::vector<std::string> addresses_;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool shut_down_ = false;
  bool drained_ = false;
};

}  // namespace lossd

#endif  // LOSSD_SERVER_SERVER_H_
