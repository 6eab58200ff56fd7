#include "server/admin/admin_page.h"

#include <array>
#include <cstdint>

#include "absl/strings/str_cat.h"

namespace lossd {
namespace {

constexpr char kStyle[] =
    "body{font:15px sans-serif;margin:2em;max-width:60em}"
    "table{border-collapse:collapse}"
    "td{padding:.2em 1em .2em 0;vertical-align:top;border-top:1px solid #ccc}"
    "td:first-child{font-family:monospace;white-space:nowrap}";

std::string Escaped(const std::string& text) {
  std::string html;
  for (const char c : text) {
    switch (c) {
      case '&':
        html += "&amp;";
        break;
      case '<':
        html += "&lt;";
        break;
      case '>':
        html += "&gt;";
        break;
      case '"':
        html += "&quot;";
        break;
      default:
        html += c;
    }
  }
  return html;
}

}  // namespace

std::string AdminPage(const std::string& title,
                      const std::vector<std::string>& links,
                      const std::vector<AdminTable>& tables) {
  std::string page = absl::StrCat(
      "<!DOCTYPE html>\n<html lang=\"en\"><meta charset=\"utf-8\"><title>",
      Escaped(title), "</title><style>", kStyle, "</style>\n<h1>",
      Escaped(title), "</h1>\n<p>");
  for (const std::string& link : links) {
    absl::StrAppend(&page, "<a href=\"", Escaped(link), "\">", Escaped(link),
                    "</a> ");
  }
  page += "</p>\n";
  for (const AdminTable& table : tables) {
    absl::StrAppend(&page, "<h2>", Escaped(table.heading), "</h2>\n<table>\n");
    for (const auto& [name, value] : table.rows) {
      absl::StrAppend(&page, "<tr><td>", Escaped(name), "<td>", Escaped(value),
                      "\n");
    }
    page += "</table>\n";
  }
  return page + "</html>\n";
}

std::string DurationText(double seconds) {
  struct Unit {
    int64_t seconds;
    const char* name;
  };
  static constexpr std::array<Unit, 4> kUnits = {
      {{86400, " d "}, {3600, " h "}, {60, " min "}, {1, " s"}}};
  auto left = static_cast<int64_t>(seconds);
  std::string text;
  for (const Unit& unit : kUnits) {
    if (!text.empty() || left >= unit.seconds || unit.seconds == 1) {
      absl::StrAppend(&text, left / unit.seconds, unit.name);
    }
    left %= unit.seconds;
  }
  return text;
}

}  // namespace lossd
