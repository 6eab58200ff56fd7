#include "server/metrics/process_metrics.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <system_error>

namespace lossd {
namespace {

prometheus::MetricFamily Family(const char* name, const char* help,
                                prometheus::MetricType type, double value) {
  prometheus::ClientMetric metric;
  metric.counter.value = value;
  metric.gauge.value = value;
  return {name, help, type, {metric}};
}

// Numbers of /proc/self/stat, in proc(5)'s order, beginning with field 4: the
// name before them may contain anything.
std::vector<double> Stat() {
  std::ifstream file("/proc/self/stat");
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  const size_t name_end = text.rfind(')');
  // The file cannot be read while no descriptor is free.
  if (name_end == std::string::npos) return {};
  constexpr size_t kToField4 = 4;
  std::istringstream numbers(text.substr(name_end + kToField4));
  return {std::istream_iterator<double>(numbers), {}};
}

// When the machine booted, in seconds since 1970.
double BootTime() {
  std::ifstream file("/proc/stat");
  double seconds = 0;
  for (std::string word; file >> word;) {
    if (word == "btime") {
      file >> seconds;
      break;
    }
  }
  return seconds;
}

double OpenDescriptors() {
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  int count = 0;
  while (!error && entry != std::filesystem::directory_iterator()) {
    ++count;
    entry.increment(error);
  }
  // One of them is the iterator's own.
  return std::max(0, count - 1);
}

}  // namespace

std::vector<prometheus::MetricFamily> ProcessMetrics::Collect() const {
  using prometheus::MetricType;
  std::vector<double> stat = Stat();
  const auto field = [&stat](size_t number) {
    return number - 4 < stat.size() ? stat[number - 4] : 0.0;
  };
  const double tick = 1.0 / static_cast<double>(sysconf(_SC_CLK_TCK));
  rlimit files = {};
  getrlimit(RLIMIT_NOFILE, &files);
  const double page = static_cast<double>(sysconf(_SC_PAGESIZE));
  return {
      Family("process_cpu_seconds_total", "User and system CPU time.",
             MetricType::Counter, (field(14) + field(15)) * tick),
      Family("process_resident_memory_bytes", "Resident memory.",
             MetricType::Gauge, field(24) * page),
      Family("process_virtual_memory_bytes", "Virtual memory.",
             MetricType::Gauge, field(23)),
      Family("process_open_fds", "Open file descriptors.", MetricType::Gauge,
             OpenDescriptors()),
      Family("process_max_fds", "Most file descriptors allowed.",
             MetricType::Gauge, static_cast<double>(files.rlim_cur)),
      Family("process_threads", "Threads.", MetricType::Gauge, field(20)),
      Family("process_start_time_seconds",
             "When the process started, in seconds since 1970.",
             MetricType::Gauge, BootTime() + field(22) * tick),
  };
}

}  // namespace lossd
