// lossd: computes losses and their gradients over gRPC.

#include <grpc/grpc.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <iostream>
#include <memory>
#include <system_error>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "server/config/options.h"
#include "server/library_logs.h"
#include "server/logging.h"
#include "server/server.h"

namespace {

// OpenMP's idle threads spin for milliseconds by default, which takes the CPU
// from gRPC's. libgomp reads this before main, so the program starts once more.
void MakeOpenMpPassive(char** argv) {
  constexpr char kVariable[] = "OMP_WAIT_POLICY";
  if (std::getenv(kVariable) != nullptr) return;
  setenv(kVariable, "passive", 1);
  std::error_code error;
  // Not by the link itself, or the process would be called "exe".
  const auto program = std::filesystem::read_symlink("/proc/self/exe", error);
  // If it fails, lossd runs all the same, only less well.
  if (!error) execv(program.c_str(), argv);
}

// Every thread that is made later inherits this, gRPC's included.
sigset_t BlockStopSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  sigaddset(&signals, SIGHUP);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

int Fail(const absl::Status& status) {
  std::cerr << "lossd: " << std::string(status.message()) << '\n';
  return absl::IsInternal(status) ? 1 : 2;
}

void AwaitStopSignal(lossd::Server& server, const sigset_t& signals) {
  int number = 0;
  while (sigwait(&signals, &number) == 0 && number == SIGHUP) {
    lossd::LogInfo("reloading", {});
    server.Reload();
  }
}

// False if it was told twice to stop.
bool ServeUntilSignalled(lossd::Server& server, const sigset_t& signals) {
  // A service manager that listens; nobody else hears it.
  sd_notify(0, "READY=1");
  AwaitStopSignal(server, signals);
  sd_notify(0, "STOPPING=1");
  std::atomic<bool> done = false;
  std::atomic<bool> hurried = false;
  std::thread second([&] {
    AwaitStopSignal(server, signals);
    if (done) return;
    lossd::LogWarning("hurrying", {});
    hurried = true;
    server.Hurry();
  });
  server.Shutdown();
  done = true;
  // Every thread has it blocked: it ends the sigwait, not the thread.
  // NOLINTNEXTLINE(bugprone-bad-signal-to-kill-thread)
  pthread_kill(second.native_handle(), SIGTERM);
  second.join();
  return !hurried;
}

}  // namespace

int main(int argc, char** argv) {
  // Before anything is read, or it would be read twice.
  MakeOpenMpPassive(argv);
  const absl::StatusOr<lossd::CommandLine> line =
      lossd::ParseCommandLine(argc, argv);
  if (!line.ok()) return Fail(line.status());
  if (!line->text.empty()) {
    std::cout << line->text;
    return 0;
  }
  const sigset_t signals = BlockStopSignals();
  // A log whose reader has gone must not end the server.
  std::signal(SIGPIPE, SIG_IGN);
  lossd::SetLogLevel(line->options.log_level);
  lossd::RouteLibraryLogs();
  // Debian builds Abseil so that every lock of a mutex, of which gRPC is full,
  // is entered into a graph to find deadlocks.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  // When a process no longer uses gRPC, gRPC waits for its threads, one of
  // which may sit in a poll of 10 s. This process always uses it.
  grpc_init();
  const absl::StatusOr<std::unique_ptr<lossd::Server>> server =
      lossd::Server::Start(line->options);
  if (!server.ok()) return Fail(server.status());
  return ServeUntilSignalled(**server, signals) ? 0 : 1;
}
