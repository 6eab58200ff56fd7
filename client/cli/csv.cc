#include "client/cli/csv.h"

#include <charconv>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace lossd::cli {
namespace {

template <typename T>
std::optional<T> ParseNumber(const std::string& cell) {
  const char* begin = cell.data();
  const char* const end = begin + cell.size();
  // std::from_chars knows no plus sign.
  if (end - begin > 1 && *begin == '+' && begin[1] != '-') ++begin;
  T value = 0;
  const auto [stop, error] = std::from_chars(begin, end, value);
  if (error != std::errc() || stop != end) return std::nullopt;
  return value;
}

template <typename T>
void Append(T value, std::string* data) {
  char bytes[sizeof(T)];
  std::memcpy(bytes, &value, sizeof(T));
  data->append(bytes, sizeof(T));
}

std::vector<std::string> Lines(const std::string& text) {
  // Spreadsheets begin UTF-8 with this mark.
  std::vector<std::string> lines =
      absl::StrSplit(absl::StripPrefix(text, "\xEF\xBB\xBF"), '\n');
  while (!lines.empty() && absl::StripAsciiWhitespace(lines.back()).empty()) {
    lines.pop_back();
  }
  return lines;
}

absl::Status BadCell(size_t line, size_t column, const std::string& cell,
                     const std::string& allowed) {
  return absl::InvalidArgumentError(
      absl::StrCat("line ", line, ", column ", column, ": got '",
                   cell.substr(0, 40), "', allowed: ", allowed));
}

}  // namespace

absl::StatusOr<Array> ParseCsv(const std::string& text, CsvElements elements) {
  std::string floats;
  std::string integers;
  std::string bools;
  bool whole = true;
  size_t columns = 1;
  const std::vector<std::string> lines = Lines(text);
  if (lines.empty()) {
    return absl::InvalidArgumentError(
        "got an empty file, allowed: at least one number");
  }
  for (size_t row = 0; row < lines.size(); ++row) {
    const std::vector<std::string> cells = absl::StrSplit(lines[row], ',');
    if (row == 0) columns = cells.size();
    if (cells.size() != columns) {
      return absl::InvalidArgumentError(
          absl::StrCat("line ", row + 1, ": got ", cells.size(),
                       " numbers, allowed: ", columns, " as in line 1"));
    }
    for (size_t column = 0; column < columns; ++column) {
      const std::string cell(absl::StripAsciiWhitespace(cells[column]));
      const std::optional<double> number = ParseNumber<double>(cell);
      if (!number) {
        return BadCell(row + 1, column + 1, cell,
                       row == 0 ? "numbers of float64, without a header line"
                                : "numbers of float64");
      }
      if (elements == CsvElements::kBool && *number != 0 && *number != 1) {
        return BadCell(row + 1, column + 1, cell, "0 and 1");
      }
      const std::optional<int64_t> integer = ParseNumber<int64_t>(cell);
      whole = whole && integer.has_value();
      Append(*number, &floats);
      if (whole) Append(*integer, &integers);
      bools.push_back(*number == 1 ? '\1' : '\0');
    }
  }
  Array array;
  array.shape.push_back(static_cast<int64_t>(lines.size()));
  if (columns > 1) array.shape.push_back(static_cast<int64_t>(columns));
  if (elements == CsvElements::kBool) {
    array.dtype = v1::DTYPE_BOOL;
    array.data = std::move(bools);
  } else if (elements == CsvElements::kIntegerIfWhole && whole) {
    array.dtype = v1::DTYPE_INT64;
    array.data = std::move(integers);
  } else {
    array.dtype = v1::DTYPE_FLOAT64;
    array.data = std::move(floats);
  }
  return array;
}

}  // namespace lossd::cli
