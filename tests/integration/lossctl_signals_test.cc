// What signals do to lossctl, the program.

#include <signal.h>
#include <unistd.h>

#include <thread>

#include "absl/synchronization/notification.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/fake_server.h"
#include "tests/integration/lossctl_program.h"

namespace lossd::cli {
namespace {

// The first one only asks to stop, which means waiting for the call that is
// under way: here, for as long as lossctl lives.
TEST(LossctlSignalsTest, ASecondOneOfAnotherKindEndsBench) {
  test::FakeServer server;
  absl::Notification called;
  server.before_compute = [&](grpc::ServerContext* context) {
    called.Notify();
    while (!context->IsCancelled()) std::this_thread::yield();
    return grpc::Status::CANCELLED;
  };
  const pid_t bench = Start(
      "lossctl",
      {"bench", "--server", server.target(), "--callers", "1", "--calls", "1"},
      STDOUT_FILENO, STDERR_FILENO);
  ASSERT_GT(bench, 0);
  called.WaitForNotification();
  kill(bench, SIGINT);
  kill(bench, SIGTERM);
  // Two threads may take them, in either order.
  EXPECT_THAT(Wait(bench), testing::AnyOf(128 + SIGINT, 128 + SIGTERM));
}

}  // namespace
}  // namespace lossd::cli
