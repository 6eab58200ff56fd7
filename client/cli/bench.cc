#include <signal.h>

#include <atomic>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "client/cli/bench_calls.h"
#include "client/cli/bench_expected.h"
#include "client/cli/bench_flags.h"
#include "client/cli/bench_report.h"
#include "client/cli/bench_run.h"
#include "client/cli/json.h"
#include "client/cli/session.h"
#include "client/cli/subcommand.h"
#include "client/load_connection.h"

namespace lossd::cli {
namespace {

using client_internal::LoadConnection;

// While it lives, the first SIGINT or SIGTERM only asks to stop; a second one,
// of either, ends the process, whatever the server does.
class StopSignals {
 public:
  StopSignals() {
    stopped_ = false;
    struct sigaction action = {};
    action.sa_handler = Stop;
    sigaction(SIGINT, &action, &old_interrupt_);
    sigaction(SIGTERM, &action, &old_terminate_);
  }
  ~StopSignals() {
    sigaction(SIGINT, &old_interrupt_, nullptr);
    sigaction(SIGTERM, &old_terminate_, nullptr);
  }
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;

  static bool stopped() { return stopped_; }

 private:
  static void Stop(int number) {
    if (!stopped_.exchange(true)) return;
    signal(number, SIG_DFL);
    raise(number);
  }

  static inline std::atomic<bool> stopped_ = false;
  static_assert(std::atomic<bool>::is_always_lock_free);
  struct sigaction old_interrupt_ = {};
  struct sigaction old_terminate_ = {};
};

BenchClock SteadyClock() {
  return {[] { return std::chrono::steady_clock::now(); },
          [](BenchTime time) { std::this_thread::sleep_until(time); }};
}

// Warms up if that is wanted, and measures.
BenchReport Measure(const std::vector<BenchCall>& calls,
                    const BenchFlags& flags, BenchOptions options,
                    const BenchHooks& hooks) {
  BenchReport report;
  report.callers = options.callers;
  report.connections = flags.connections;
  report.rate = flags.rate;
  report.check = flags.check;
  if (const std::optional<BenchLoad> warmup = WarmupOf(flags)) {
    options.load = *warmup;
    report.warmup_calls = RunBench(calls, options, hooks).calls;
  }
  options.load = LoadOf(flags);
  report.figures = RunBench(calls, options, hooks);
  return report;
}

int Report(const BenchReport& report, const Session& session) {
  if (session.json()) {
    Print(ToJson(report), session.out);
  } else {
    PrintText(report, session.out);
  }
  const std::string complaint = BenchComplaint(report.figures);
  return complaint.empty() ? kOk : Fail(session, kFailed, complaint);
}

int RunBenchCommand(const BenchFlags& flags, const Session& session) {
  const absl::StatusOr<std::vector<BenchKind>> kinds = KindsOf(flags);
  if (!kinds.ok()) return Fail(session, kUsage, kinds.status());
  const absl::StatusOr<int> callers = CallersOf(flags);
  if (!callers.ok()) return Fail(session, kUsage, callers.status());
  const absl::StatusOr<Client> client = Connect(session);
  if (!client.ok()) return Fail(session, kFailed, client.status());
  const absl::StatusOr<v1::GetServerInfoResponse> info =
      client->GetServerInfo();
  if (!info.ok()) return Fail(session, kFailed, info.status());
  if (flags.check && info->numerics_version() != LibraryNumericsVersion()) {
    return Fail(session, kFailed,
                absl::StrCat("--check: the server's arithmetic is ",
                             info->numerics_version(), ", that of lossctl ",
                             LibraryNumericsVersion(), ": bits differ"));
  }
  const absl::StatusOr<std::vector<BenchCall>> calls =
      MakeCalls(*kinds, flags, *info);
  if (!calls.ok()) return Fail(session, kUsage, calls.status());

  const absl::Duration timeout = absl::Seconds(session.timeout_seconds);
  std::deque<LoadConnection> connections;
  for (int i = 0; i < flags.connections; ++i) {
    connections.emplace_back(session.server);
    absl::Status status = connections.back().Connect(timeout);
    if (!status.ok()) return Fail(session, kFailed, status);
  }
  const absl::Duration deadline =
      absl::Seconds(flags.deadline_seconds.value_or(session.timeout_seconds));
  const BenchHooks hooks{
      .clock = SteadyClock(),
      .send =
          [&](int caller, const std::string& request) {
            const auto index = static_cast<size_t>(caller) % connections.size();
            return connections[index].Compute(request, deadline);
          },
      .stopped = StopSignals::stopped};
  const StopSignals signals;
  BenchOptions options;
  options.callers = *callers;
  options.patience = absl::ToChronoNanoseconds(timeout);
  return Report(Measure(*calls, flags, options, hooks), session);
}

}  // namespace

Subcommand AddBench(CLI::App& app) {
  CLI::App* const command = app.add_subcommand(
      "bench", "Put the server under load and measure latency and throughput");
  const auto flags = std::make_shared<BenchFlags>();
  AddBenchFlags(*command, *flags);
  return {command,
          [flags](const Session& session) {
            return RunBenchCommand(*flags, session);
          },
          {}};
}

}  // namespace lossd::cli
