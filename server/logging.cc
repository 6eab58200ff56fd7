#include "server/logging.h"

#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>

#include <array>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/log_limit.h"

namespace lossd {
namespace {

// Length of the UTF-8 sequence at the start of `text`; 0 if it is none.
size_t SequenceLength(std::string_view text) {
  const auto byte = [text](size_t i) {
    return i < text.size() ? static_cast<unsigned char>(text[i]) : 0;
  };
  const int first = byte(0);
  size_t length = 0;
  if (first < 0x80) length = 1;
  if (first >= 0xc2 && first < 0xe0) length = 2;
  if (first >= 0xe0 && first < 0xf0) length = 3;
  if (first >= 0xf0 && first < 0xf5) length = 4;
  for (size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  // Overlong, a surrogate, overlong, beyond U+10FFFF.
  const int second = byte(1);
  if (first == 0xe0 && second < 0xa0) return 0;
  if (first == 0xed && second >= 0xa0) return 0;
  if (first == 0xf0 && second < 0x90) return 0;
  if (first == 0xf4 && second >= 0x90) return 0;
  return length;
}

struct ValueText {
  std::string operator()(const std::string& text) const {
    return JsonString(text);
  }
  std::string operator()(const char* text) const { return JsonString(text); }
  std::string operator()(bool value) const { return value ? "true" : "false"; }
  std::string operator()(int value) const { return absl::StrCat(value); }
  std::string operator()(int64_t value) const { return absl::StrCat(value); }
  // JSON knows no infinities.
  std::string operator()(double value) const {
    return std::isfinite(value) ? absl::StrCat(value) : "null";
  }
  std::string operator()(const std::vector<std::string>& texts) const {
    return absl::StrCat(
        "[",
        absl::StrJoin(texts, ",",
                      [](std::string* out, const std::string& text) {
                        out->append(JsonString(text));
                      }),
        "]");
  }
};

spdlog::logger& Logger() {
  // Never destroyed: threads that end after main still log.
  static spdlog::logger* const logger = [] {
    auto* made = new spdlog::logger(
        "lossd", std::make_shared<spdlog::sinks::stdout_sink_mt>());
    made->set_pattern("%v");
    made->flush_on(spdlog::level::trace);
    return made;
  }();
  return *logger;
}

LogLimit& Limit() {
  // Never destroyed, as the logger.
  static auto* const limit = new LogLimit;
  return *limit;
}

std::atomic<uint64_t> dropped = 0;

void Log(spdlog::level::level_enum level, const char* name,
         std::string_view event, std::initializer_list<LogField> fields) {
  if (!Logger().should_log(level)) return;
  int64_t suppressed = 0;
  // Who asks for each request wants each.
  if (level != spdlog::level::debug &&
      !Limit().Allow(event, std::chrono::steady_clock::now(), &suppressed)) {
    ++dropped;
    return;
  }
  std::string line =
      absl::StrCat("{\"time\":\"",
                   absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(),
                                    absl::UTCTimeZone()),
                   "\",\"level\":\"", name, "\",\"event\":", JsonString(event));
  for (const LogField& field : fields) {
    absl::StrAppend(&line, ",", JsonString(field.key), ":",
                    std::visit(ValueText(), field.value));
  }
  if (suppressed > 0) absl::StrAppend(&line, ",\"suppressed\":", suppressed);
  Logger().log(level, line + "}");
}

}  // namespace

std::string JsonString(std::string_view text) {
  std::string json = "\"";
  while (!text.empty()) {
    const size_t length = SequenceLength(text);
    const char first = text.front();
    if (length == 0) {
      json += "\\ufffd";
    } else if (first == '"' || first == '\\') {
      json += {'\\', first};
    } else if (static_cast<unsigned char>(first) < 0x20) {
      absl::StrAppend(&json, "\\u", absl::Hex(first, absl::kZeroPad4));
    } else {
      json += text.substr(0, length);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  return json + "\"";
}

void SetLogLevel(const std::string& level) {
  Logger().set_level(spdlog::level::from_str(level));
  Limit().Reset();
}

bool LogsDebug() { return Logger().should_log(spdlog::level::debug); }

uint64_t DroppedLogLines() { return dropped; }

void LogDebug(std::string_view event, std::initializer_list<LogField> fields) {
  Log(spdlog::level::debug, "debug", event, fields);
}

void LogInfo(std::string_view event, std::initializer_list<LogField> fields) {
  Log(spdlog::level::info, "info", event, fields);
}

void LogWarning(std::string_view event,
                std::initializer_list<LogField> fields) {
  Log(spdlog::level::warn, "warning", event, fields);
}

}  // namespace lossd
