// What `lossctl compute` makes room for and writes to files.

#ifndef LOSSD_CLIENT_CLI_COMPUTE_OUTPUTS_H_
#define LOSSD_CLIENT_CLI_COMPUTE_OUTPUTS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "client/cli/array_data.h"
#include "client/cli/compute_flags.h"
#include "client/client.h"

namespace lossd::cli {

class ComputeOutputs {
 public:
  // Reads the flags. Fails, naming the flag, for flags that cannot be read and
  // for files that cannot be written, are named twice or are an input.
  absl::Status Read(const ComputeFlags& flags);

  // Makes room for the results of `call`, whose loss and semantics are set,
  // and lets it point there: the gradient always, the rest where a file is to
  // be written. INVALID_ARGUMENT for a --gradient_dtype that there is not.
  absl::Status Allocate(const Array& predictions, LossCall* call);

  // Writes the files; fails as WriteArray, naming the flag.
  absl::Status Write() const;

  const Array& gradient() const { return gradient_; }

 private:
  // A file, and the flag that names it: "--gradient_out g.npy".
  struct File {
    std::string flag;
    std::string path;
  };

  static absl::Status Write(const File& file, const Array& array);

  absl::Status CheckFiles(const ComputeFlags& flags) const;

  std::string gradient_dtype_;
  // Empty paths: not wanted.
  File gradient_file_;
  File row_losses_file_;
  // By the input's name.
  std::map<std::string, File> extra_files_;
  Array gradient_;
  std::map<std::string, Array> extra_gradients_;
  std::vector<double> row_losses_;
  std::vector<int64_t> row_shape_;
};

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_COMPUTE_OUTPUTS_H_
