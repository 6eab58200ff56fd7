#include "client/cli/bench_flags.h"

#include <chrono>
#include <functional>

#include "absl/status/status.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "client/cli/array_data.h"
#include "client/cli/options_reflection.h"
#include "client/cli/session.h"

namespace lossd::cli {
namespace {

constexpr double kDefaultSeconds = 10;
constexpr double kMostSeconds = 1e6;
constexpr double kMostCalls = 1e15;
constexpr double kMostThreads = 1024;
// Of either axis; what a message holds is less.
constexpr double kMostElements = 1e9;
constexpr double kMostItems = 1e6;
constexpr double kLowestRate = 1e-3;
constexpr double kHighestRate = 1e6;
constexpr int kClosedLoopCallers = 4;
// Enough that 1000 calls a second may take 64 ms each before one has to wait.
constexpr int kOpenLoopCallers = 64;
constexpr int64_t kDefaultRows = 1024;
constexpr int64_t kDefaultColumns = 8;

using Check = std::function<std::string(const std::string&)>;

// CLI11's own ranges let NaN pass.
Check Between(double minimum, double maximum) {
  return [=](const std::string& text) {
    double number = 0;
    const bool fine = absl::SimpleAtod(text, &number) && number >= minimum &&
                      number <= maximum;
    return fine ? std::string()
                : absl::StrCat("got ", text, ", allowed: ", minimum, " to ",
                               maximum);
  };
}

void AddLoadFlags(CLI::App& command, BenchFlags& flags) {
  command
      .add_option("--callers", flags.callers,
                  absl::StrCat("calls at a time; default ", kClosedLoopCallers,
                               ", with --rate ", kOpenLoopCallers))
      ->type_name("N")
      ->check(Between(1, kMostThreads));
  command
      .add_option("--connections", flags.connections,
                  "connections that the callers share, at most one for each")
      ->type_name("N")
      ->check(Between(1, kMostThreads))
      ->capture_default_str();
  command
      .add_option("--rate", flags.rate,
                  "calls a second of all callers together, at fixed times from "
                  "which latencies count; default: a caller sends when its "
                  "last call has ended")
      ->type_name("NUMBER")
      ->check(Between(kLowestRate, kHighestRate));
  command
      .add_option("--duration", flags.duration_seconds,
                  absl::StrCat("how long to send; default ", kDefaultSeconds,
                               ", with --calls no limit"))
      ->type_name("SECONDS")
      ->check(Between(1e-3, kMostSeconds));
  command
      .add_option("--calls", flags.calls,
                  "end after so many calls, or when the server did not answer "
                  "for --timeout")
      ->type_name("N")
      ->check(Between(1, kMostCalls));
  command
      .add_option("--warmup", flags.warmup_seconds,
                  "send for so long before anything is counted")
      ->type_name("SECONDS")
      ->check(Between(0, kMostSeconds))
      ->capture_default_str();
  command
      .add_option("--deadline", flags.deadline_seconds,
                  "longest time of a call; default --timeout")
      ->type_name("SECONDS")
      ->check(Between(1e-3, kMostSeconds));
}

void AddCallFlags(CLI::App& command, BenchFlags& flags) {
  const auto mix = [&command](const char* flag, auto& values,
                              const std::string& text) {
    return command.add_option(flag, values, text)
        ->delimiter(',')
        ->allow_extra_args(false);
  };
  mix("--loss", flags.losses, "full or short names; default mse")
      ->type_name("NAME,...");
  mix("--rows", flags.rows,
      absl::StrCat("sizes of the first axis; default ", kDefaultRows))
      ->type_name("N,...")
      ->check(Between(1, kMostElements));
  mix("--columns", flags.columns,
      absl::StrCat("sizes of the last axis, classes for losses of classes; "
                   "default ",
                   kDefaultColumns))
      ->type_name("N,...")
      ->check(Between(1, kMostElements));
  mix("--elements", flags.elements,
      "predictions of an item, instead of --rows: multiples of --columns")
      ->type_name("N,...")
      ->check(Between(1, kMostElements))
      ->excludes("--rows");
  command.add_option("--items", flags.items, "items of a batch")
      ->type_name("N")
      ->check(Between(1, kMostItems))
      ->capture_default_str();
  command
      .add_option("--dtype", flags.dtype,
                  "of the predictions: float32, float64, float16 or bfloat16")
      ->type_name("NAME")
      ->capture_default_str();
  command.add_flag("--gradient,!--no_gradient,!--no-gradient", flags.gradient,
                   "ask for gradients, which is the default, or not");
  command.add_flag("--row_losses", flags.row_losses, "ask for row losses");
  command.add_flag("--check", flags.check,
                   "compare every bit of every answer with the library's, "
                   "computed here before the first call");
}

absl::StatusOr<v1::Dtype> DtypeOf(const std::string& name) {
  for (const v1::Dtype dtype : {v1::DTYPE_FLOAT32, v1::DTYPE_FLOAT64,
                                v1::DTYPE_FLOAT16, v1::DTYPE_BFLOAT16}) {
    if (DtypeName(dtype) == name) return dtype;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--dtype: got '", name,
                   "', allowed: float32, float64, float16, bfloat16"));
}

template <typename T>
std::vector<T> OrDefault(const std::vector<T>& values, T value) {
  return values.empty() ? std::vector<T>{value} : values;
}

absl::StatusOr<std::vector<BenchShape>> ShapesOf(const BenchFlags& flags) {
  const absl::StatusOr<v1::Dtype> dtype = DtypeOf(flags.dtype);
  if (!dtype.ok()) return dtype.status();
  std::vector<BenchShape> shapes;
  for (const int64_t columns : OrDefault(flags.columns, kDefaultColumns)) {
    for (const int64_t elements : flags.elements) {
      if (elements % columns != 0) {
        return absl::InvalidArgumentError(
            absl::StrCat("--elements: got ", elements,
                         ", allowed: multiples of --columns, ", columns));
      }
      shapes.push_back({elements / columns, columns, *dtype});
    }
    if (!flags.elements.empty()) continue;
    for (const int64_t rows : OrDefault(flags.rows, kDefaultRows)) {
      shapes.push_back({rows, columns, *dtype});
    }
  }
  return shapes;
}

std::chrono::nanoseconds Seconds(double seconds) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
      std::chrono::duration<double>(seconds));
}

}  // namespace

void AddBenchFlags(CLI::App& command, BenchFlags& flags) {
  AddLoadFlags(command, flags);
  AddCallFlags(command, flags);
  command.footer(
      "Calls take turns: every loss with every size. Latencies are those of "
      "calls that did not fail, to the parsed reply; percentiles come from a "
      "histogram and are at most 0.1 % too large. Data come from a fixed "
      "seed. Exit code 1 if a call failed or an answer differs. Ctrl-C ends "
      "with the figures so far.");
}

absl::StatusOr<std::vector<BenchKind>> KindsOf(const BenchFlags& flags) {
  const absl::StatusOr<std::vector<BenchShape>> shapes = ShapesOf(flags);
  if (!shapes.ok()) return shapes.status();
  std::vector<BenchKind> kinds;
  for (const std::string& name :
       OrDefault(flags.losses, std::string("mean_squared_error"))) {
    absl::StatusOr<v1::Loss> loss = MakeLoss(name);
    if (!loss.ok()) return Prefixed("--loss", loss.status());
    SetNeededOptions(&*loss);
    // The smallest of all sizes, for whether it can be made at all.
    absl::Status status = MakeItem(*loss, {}, 0).status();
    if (!status.ok()) return Prefixed("--loss", status);
    for (const BenchShape& shape : *shapes) kinds.push_back({*loss, shape});
  }
  return kinds;
}

absl::StatusOr<int> CallersOf(const BenchFlags& flags) {
  const int callers = flags.callers.value_or(flags.rate ? kOpenLoopCallers
                                                        : kClosedLoopCallers);
  if (flags.connections <= callers) return callers;
  return absl::InvalidArgumentError(absl::StrCat(
      "--connections: got ", flags.connections,
      ", allowed: at most one for each of ", callers, " --callers"));
}

BenchLoad LoadOf(const BenchFlags& flags) {
  BenchLoad load{flags.rate, flags.calls, {}};
  if (flags.duration_seconds || !flags.calls) {
    load.duration = Seconds(flags.duration_seconds.value_or(kDefaultSeconds));
  }
  return load;
}

std::optional<BenchLoad> WarmupOf(const BenchFlags& flags) {
  if (flags.warmup_seconds == 0) return std::nullopt;
  return BenchLoad{flags.rate, {}, Seconds(flags.warmup_seconds)};
}

}  // namespace lossd::cli
