#include "proto/wire/announced_bytes.h"

#include <charconv>
#include <system_error>

namespace lossd::wire {
namespace {

// Moves `text` behind a number. from_chars would take a sign.
bool TakeNumber(std::string_view* text, int64_t* number) {
  if (text->empty() || text->front() == '-') return false;
  const char* const end = text->data() + text->size();
  const auto [behind, error] = std::from_chars(text->data(), end, *number);
  if (error != std::errc()) return false;
  text->remove_prefix(static_cast<size_t>(behind - text->data()));
  return true;
}

}  // namespace

std::string FormatAnnouncedBytes(const AnnouncedBytes& bytes) {
  return std::to_string(bytes.request) + "," + std::to_string(bytes.reply);
}

bool ParseAnnouncedBytes(std::string_view text, AnnouncedBytes* bytes) {
  AnnouncedBytes parsed;
  if (!TakeNumber(&text, &parsed.request)) return false;
  if (text.empty() || text.front() != ',') return false;
  text.remove_prefix(1);
  if (!TakeNumber(&text, &parsed.reply) || !text.empty()) return false;
  *bytes = parsed;
  return true;
}

}  // namespace lossd::wire
