// Arrays as text: one row a line, numbers separated by commas.

#ifndef LOSSD_CLIENT_CLI_CSV_H_
#define LOSSD_CLIENT_CLI_CSV_H_

#include <string>

#include "absl/status/statusor.h"
#include "client/cli/array_data.h"

namespace lossd::cli {

// What the numbers of a CSV file become: the text does not say.
enum class CsvElements {
  // float64.
  kFloat,
  // int64 if every number is written without point and exponent, else float64.
  kIntegerIfWhole,
  // bool; only 0 and 1 are allowed.
  kBool,
};

// The array in `text`, a whole file: shape [rows] for one number a line,
// [rows, columns] for more. A line ends with LF or CRLF; spaces around numbers
// are ignored; nan and inf are numbers. There is no header line. Fails with
// INVALID_ARGUMENT, naming line and column, for anything that is no number, for
// lines of different lengths, and for a file without any number: it is more
// likely a program that failed than an array of shape [0], which .npy can hold.
absl::StatusOr<Array> ParseCsv(const std::string& text, CsvElements elements);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_CSV_H_
