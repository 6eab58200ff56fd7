// Structured logs: one JSON object a line on standard output.

#ifndef LOSSD_SERVER_LOGGING_H_
#define LOSSD_SERVER_LOGGING_H_

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace lossd {

using LogValue = std::variant<std::string, const char*, int, int64_t, double,
                              bool, std::vector<std::string>>;

struct LogField {
  std::string_view key;
  LogValue value;
};

// "debug", "info", "warning" or "error": what is less grave is not written.
// Begins to count anew what has been (below).
void SetLogLevel(const std::string& level);

// Whether what is logged per request is written.
bool LogsDebug();

// Lines that were not written because there were too many of their event.
uint64_t DroppedLogLines();

// `event` names what happened, in snake_case. Never tensor contents, tokens or
// ids of arenas. But for debug, of an event at most 20 lines a second are
// written; the next one says how many were not, as "suppressed". All are
// thread-safe.
// Per request.
void LogDebug(std::string_view event, std::initializer_list<LogField> fields);
// Lifecycle.
void LogInfo(std::string_view event, std::initializer_list<LogField> fields);
// Degraded.
void LogWarning(std::string_view event, std::initializer_list<LogField> fields);

// `text` as a JSON string with its quotes; bytes that are not UTF-8 become
// U+FFFD.
std::string JsonString(std::string_view text);

}  // namespace lossd

#endif  // LOSSD_SERVER_LOGGING_H_
