// Arrays in files: the name's ending says the format.

#ifndef LOSSD_CLIENT_CLI_ARRAY_FILE_H_
#define LOSSD_CLIENT_CLI_ARRAY_FILE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/cli/array_data.h"
#include "client/cli/csv.h"

namespace lossd::cli {

// The whole file. Fails with NOT_FOUND or PERMISSION_DENIED and the system's
// reason when it cannot be read.
absl::StatusOr<std::string> ReadFile(const std::string& path);

// Reads a .npy or .csv file; `elements` holds for CSV only. Besides the errors
// of ReadFile, ParseNpy and ParseCsv: INVALID_ARGUMENT for any other ending.
// Messages do not name the file.
absl::StatusOr<Array> ReadArray(const std::string& path, CsvElements elements);

// Writes a .npy file, replacing one that exists. Fails with INVALID_ARGUMENT
// for any other ending, PERMISSION_DENIED if it cannot be opened, DATA_LOSS if
// it cannot be written whole. Messages do not name the file.
absl::Status WriteArray(const std::string& path, const Array& array);

// Fails as WriteArray would for this path, as far as that can be told without
// creating or changing the file: a full disk, for instance, cannot be foreseen.
absl::Status CheckOutput(const std::string& path);

// Whether both paths lead to the same file, or would if it existed.
bool SameFile(const std::string& a, const std::string& b);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_ARRAY_FILE_H_
