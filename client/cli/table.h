// Text for people: tables and numbers.

#ifndef LOSSD_CLIENT_CLI_TABLE_H_
#define LOSSD_CLIENT_CLI_TABLE_H_

#include <iosfwd>
#include <string>
#include <vector>

namespace lossd::cli {

// Rows of text under a header, in columns as wide as they need to be.
class Table {
 public:
  enum class Align { kLeft, kRight };
  struct Column {
    std::string header;
    Align align = Align::kLeft;
  };

  explicit Table(std::vector<Column> columns);

  // Requires one cell for each column.
  void AddRow(std::vector<std::string> cells);

  // Prints the header, unless every header is empty, and the rows.
  void Print(std::ostream& out) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<std::string>> rows_;
};

// `text` in lines of at most 80 columns, each indented by `indent` spaces but
// for the first, which is taken to be there already.
std::string Wrap(const std::string& text, size_t indent);

// Nine significant digits, "-" for NaN.
std::string NumberText(double number);

// Three significant digits: "0.123", "-7.5".
std::string ShortText(double number);

// The shortest text that reads back as the same number.
std::string ExactText(double number);

// "12.3 %" for 0.123.
std::string PercentText(double share);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_TABLE_H_
