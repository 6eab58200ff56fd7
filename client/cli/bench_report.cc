#include "client/cli/bench_report.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "client/cli/session.h"
#include "client/cli/table.h"

namespace lossd::cli {
namespace {

struct Quantile {
  const char* name;
  int64_t per_mille;
};
constexpr std::array kQuantiles = {Quantile{"p50", 500}, Quantile{"p90", 900},
                                   Quantile{"p95", 950}, Quantile{"p99", 990},
                                   Quantile{"p99.9", 999}};

double Milliseconds(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

double Seconds(const BenchFigures& figures) {
  return std::chrono::duration<double>(figures.length).count();
}

double PerSecond(const BenchFigures& figures, int64_t count) {
  const double seconds = Seconds(figures);
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

// From the shortest to the longest.
std::vector<std::pair<std::string, double>> Latencies(
    const LatencyHistogram& latencies) {
  std::vector<std::pair<std::string, double>> result;
  result.emplace_back("min", Milliseconds(latencies.min()));
  for (const Quantile& quantile : kQuantiles) {
    result.emplace_back(quantile.name,
                        Milliseconds(latencies.Quantile(quantile.per_mille)));
  }
  result.emplace_back("max", Milliseconds(latencies.max()));
  return result;
}

std::string ErrorsText(const std::map<std::string, int64_t>& errors) {
  return absl::StrJoin(errors, ", ", [](std::string* out, const auto& error) {
    absl::StrAppend(out, error.first, " ", error.second);
  });
}

std::string RateText(const BenchFigures& figures, int64_t count, double unit,
                     const char* name) {
  return absl::StrFormat("%.6g %s/s", PerSecond(figures, count) / unit, name);
}

}  // namespace

Json ToJson(const BenchReport& report) {
  const BenchFigures& figures = report.figures;
  Json latency;
  if (figures.latencies.count() > 0) {
    for (const auto& [name, value] : Latencies(figures.latencies)) {
      latency[name] = value;
    }
  }
  Json json = {
      {"callers", report.callers},
      {"connections", report.connections},
      {"rate", report.rate ? Json(*report.rate) : Json()},
      {"seconds", Seconds(figures)},
      {"warmup_calls", report.warmup_calls},
      {"calls", figures.calls},
      {"failed", figures.failed},
      {"missed", figures.missed},
      {"errors", Json(figures.errors)},
      {"item_errors", Json(figures.item_errors)},
      {"items", figures.items},
      {"elements", figures.elements},
      {"sent_bytes", figures.sent_bytes},
      {"received_bytes", figures.received_bytes},
      {"calls_per_second", PerSecond(figures, figures.calls - figures.failed)},
      {"items_per_second", PerSecond(figures, figures.items)},
      {"elements_per_second", PerSecond(figures, figures.elements)},
      {"sent_bytes_per_second", PerSecond(figures, figures.sent_bytes)},
      {"received_bytes_per_second", PerSecond(figures, figures.received_bytes)},
      {"latency_ms", std::move(latency)},
      {"latency_relative_error", LatencyHistogram::kRelativeError}};
  if (report.check) json["differing"] = figures.differing;
  return json;
}

void PrintText(const BenchReport& report, std::ostream& out) {
  const BenchFigures& figures = report.figures;
  constexpr double kMebi = 1 << 20;
  Table table({{""}, {"", Table::Align::kRight}, {"", Table::Align::kRight}});
  const auto add = [&table](const std::string& name, int64_t count,
                            const std::string& rate = "") {
    table.AddRow({name, absl::StrCat(count), rate});
  };
  add("callers", report.callers);
  add("connections", report.connections);
  table.AddRow({"seconds", absl::StrFormat("%.3f", Seconds(figures)), ""});
  if (report.warmup_calls > 0) add("warmup calls", report.warmup_calls);
  add("calls", figures.calls,
      RateText(figures, figures.calls - figures.failed, 1, "OK calls"));
  add("failed", figures.failed);
  if (report.rate) add("missed", figures.missed);
  if (report.check) add("differing", figures.differing);
  add("items", figures.items, RateText(figures, figures.items, 1, "items"));
  add("elements", figures.elements,
      RateText(figures, figures.elements, 1e6, "M elements"));
  add("sent bytes", figures.sent_bytes,
      RateText(figures, figures.sent_bytes, kMebi, "MiB"));
  add("received bytes", figures.received_bytes,
      RateText(figures, figures.received_bytes, kMebi, "MiB"));
  for (const auto& [name, value] : Latencies(figures.latencies)) {
    table.AddRow({absl::StrCat("latency ", name),
                  figures.latencies.count() > 0
                      ? absl::StrFormat("%.3f ms", value)
                      : "-",
                  ""});
  }
  table.Print(out);
  for (const auto& [what, errors] :
       {std::pair{"errors: ", &figures.errors},
        std::pair{"errors of items: ", &figures.item_errors}}) {
    if (!errors->empty()) out << what << ErrorsText(*errors) << '\n';
  }
}

std::string BenchComplaint(const BenchFigures& figures) {
  std::vector<std::string> complaints;
  if (figures.failed > 0) {
    complaints.push_back(absl::StrCat(
        figures.failed, " of ", figures.calls, " calls failed, the first with ",
        absl::StatusCodeToString(figures.first_error.code()), ": ",
        std::string(figures.first_error.message())));
  }
  if (figures.differing > 0) {
    complaints.push_back(absl::StrCat(
        figures.differing, " of ", figures.calls,
        " calls have answers whose bits are not those of the library"));
  }
  if (figures.gave_up) complaints.push_back("gave up: no answer any more");
  return absl::StrJoin(complaints, "; ");
}

}  // namespace lossd::cli
