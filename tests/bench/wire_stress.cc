#include "tests/bench/wire_stress.h"

#include <mutex>
#include <thread>

namespace lossd::bench {
namespace {

constexpr char kCompute[] = "/lossd.v1.LossService/Compute";
constexpr char kHealthCheck[] = "/grpc.health.v1.Health/Check";
// A HealthCheckResponse that says SERVING.
constexpr std::string_view kServing = "\x08\x01";
constexpr std::chrono::milliseconds kPace(5);

// Calls once every kPace until `end`. A server that stalls keeps all waiting
// who come meanwhile: a call that was due during another one counts as if it
// had been answered with it.
grpc::Status CallAtPace(Clock::time_point end, const Caller& call,
                        std::vector<double>* ms) {
  for (Clock::time_point due = Clock::now(); due < end;) {
    std::this_thread::sleep_until(due);
    grpc::Status status = call();
    if (!status.ok()) return status;
    const auto now = Clock::now();
    do {
      ms->push_back(
          std::chrono::duration<double, std::milli>(now - due).count());
      due += kPace;
    } while (due < now);
  }
  return grpc::Status::OK;
}

// Reads the trailer as text, for the URL stands in it as it is.
bool SaysWhenToTryAgain(const grpc::Status& status) {
  return status.error_details().find("google.rpc.RetryInfo") !=
         std::string::npos;
}

void Count(const grpc::Status& status, Outcomes* outcomes) {
  if (status.ok()) {
    ++outcomes->served;
  } else if (SaysWhenToTryAgain(status)) {
    ++outcomes->retryable;
  } else {
    ++outcomes->other;
    outcomes->other_message =
        std::to_string(status.error_code()) + " " + status.error_message();
  }
}

}  // namespace

Fairness MeasureFairness(const std::string& address, const WireRequest& large,
                         const WireRequest& small, int seconds) {
  const RawMethod compute_large(Open(address), kCompute);
  const RawMethod compute_small(Open(address), kCompute);
  const RawMethod health(Open(address), kHealthCheck);
  const auto compute = [](const RawMethod& method, const WireRequest& request) {
    grpc::ByteBuffer reply;
    grpc::Status status = method.Call(request.framed(), &reply);
    double loss = 0;
    return status.ok() ? ReadReply(reply, &loss) : status;
  };
  const grpc::ByteBuffer nothing = Borrow("");
  Fairness result;
  // Its connection is at full speed only after a first message.
  result.status = compute(compute_large, large);
  if (!result.status.ok()) return result;
  const auto end = Clock::now() + std::chrono::seconds(seconds);
  grpc::Status small_status, health_status;
  std::thread small_caller([&] {
    small_status = CallAtPace(
        end, [&] { return compute(compute_small, small); }, &result.small_ms);
  });
  std::thread health_caller([&] {
    health_status = CallAtPace(
        end, [&] { return health.CallFor(kServing.size(), nothing); },
        &result.health_ms);
  });
  while (Clock::now() < end && result.status.ok()) {
    grpc::ByteBuffer reply;
    result.status = compute_large.Call(large.framed(), &reply);
    ++result.large_calls;
  }
  small_caller.join();
  health_caller.join();
  for (const grpc::Status& status : {small_status, health_status}) {
    if (result.status.ok()) result.status = status;
  }
  return result;
}

Outcomes Flood(const std::string& address, const WireRequest& request,
               int callers, int calls) {
  Outcomes outcomes;
  std::mutex mutex;
  std::vector<std::shared_ptr<grpc::Channel>> channels;
  for (int i = 0; i < callers; ++i) channels.push_back(Open(address));
  std::vector<std::thread> threads;
  for (const auto& channel : channels) {
    threads.emplace_back([&] {
      const RawMethod method(channel, kCompute);
      for (int i = 0; i < calls; ++i) {
        grpc::ByteBuffer reply;
        const grpc::Status status = method.Call(request.framed(), &reply);
        const std::lock_guard lock(mutex);
        Count(status, &outcomes);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  return outcomes;
}

}  // namespace lossd::bench
