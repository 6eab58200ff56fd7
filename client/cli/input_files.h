// The tensors of a command line: read from files, sent as fields of a request,
// and named again when the server finds fault with them.

#ifndef LOSSD_CLIENT_CLI_INPUT_FILES_H_
#define LOSSD_CLIENT_CLI_INPUT_FILES_H_

#include <CLI/App.hpp>
#include <map>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "client/array.h"
#include "client/cli/array_data.h"
#include "client/cli/csv.h"
#include "lossd/v1/status.pb.h"

namespace lossd::cli {

// Defines --predictions and --targets, both required, and returns the latter.
CLI::Option* AddTensorFiles(CLI::App& command, std::string& predictions,
                            std::string& targets);

class InputFiles {
 public:
  // Reads the file that `flag` names ("--predictions p.npy": `path` is its
  // end) as the field of LossItem ("predictions", "extra_inputs.NAME").
  // Errors name the flag.
  absl::Status Read(const std::string& field, const std::string& flag,
                    const std::string& path, CsvElements elements);

  // The array of a field; null if it was not read. Valid as long as this
  // object and until the field is read again.
  const Array* Find(const std::string& field) const;

  // The same, borrowed for a call.
  std::optional<ArrayView> View(const std::string& field) const;

  // The arrays that were read as "extra_inputs.NAME", by name, borrowed.
  std::map<std::string, ArrayView> ExtraInputs() const;

  // What a server's refusal says, in terms of flags and files: "--predictions
  // p.npy: element 3 (row 0, column 3): got nan, allowed: finite numbers".
  std::string Explain(const v1::FieldViolation& violation) const;

  // All violations of a failed call, or its message if it has none.
  std::string Explain(const absl::Status& status) const;

 private:
  struct Input {
    // As on the command line: "--predictions p.npy".
    std::string flag;
    Array array;
  };
  std::map<std::string, Input> inputs_;
};

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_INPUT_FILES_H_
