#include "client/cli/table.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"

namespace lossd::cli {
namespace {

constexpr size_t kLineLength = 80;
constexpr char kGap[] = "  ";

}  // namespace

Table::Table(std::vector<Column> columns) : columns_(std::move(columns)) {}

void Table::AddRow(std::vector<std::string> cells) {
  rows_.push_back(std::move(cells));
}

void Table::Print(std::ostream& out) const {
  std::vector<std::string> headers;
  std::vector<size_t> widths;
  for (size_t column = 0; column < columns_.size(); ++column) {
    headers.push_back(columns_[column].header);
    size_t width = headers.back().size();
    for (const auto& row : rows_) width = std::max(width, row[column].size());
    widths.push_back(width);
  }
  const auto print = [&](const std::vector<std::string>& cells) {
    std::string line;
    for (size_t column = 0; column < cells.size(); ++column) {
      const std::string padding(widths[column] - cells[column].size(), ' ');
      const bool right = columns_[column].align == Align::kRight;
      absl::StrAppend(&line, column == 0 ? "" : kGap, right ? padding : "",
                      cells[column], right ? "" : padding);
    }
    line.erase(line.find_last_not_of(' ') + 1);
    out << line << '\n';
  };
  const bool titled =
      std::any_of(headers.begin(), headers.end(),
                  [](const std::string& header) { return !header.empty(); });
  if (titled) print(headers);
  for (const auto& row : rows_) print(row);
}

std::string Wrap(const std::string& text, size_t indent) {
  std::string wrapped;
  size_t column = indent;
  for (const auto word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
    const bool first = column == indent;
    if (!first && column + 1 + word.size() > kLineLength) {
      absl::StrAppend(&wrapped, "\n", std::string(indent, ' '), word);
      column = indent + word.size();
    } else {
      absl::StrAppend(&wrapped, first ? "" : " ", word);
      column += word.size() + (first ? 0 : 1);
    }
  }
  return wrapped;
}

std::string NumberText(double number) {
  return std::isnan(number) ? "-" : absl::StrFormat("%.9g", number);
}

std::string ShortText(double number) { return absl::StrFormat("%.3g", number); }

std::string ExactText(double number) {
  std::array<char, 32> text;
  const auto end =
      std::to_chars(text.data(), text.data() + text.size(), number);
  return std::string(text.data(), end.ptr);
}

std::string PercentText(double share) {
  return std::isnan(share) ? "-" : absl::StrFormat("%.1f %%", 100 * share);
}

}  // namespace lossd::cli
