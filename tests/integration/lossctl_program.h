// lossctl, the program, against lossd, the program.

#ifndef LOSSD_TESTS_INTEGRATION_LOSSCTL_PROGRAM_H_
#define LOSSD_TESTS_INTEGRATION_LOSSCTL_PROGRAM_H_

#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/array_file.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {

using Json = nlohmann::json;

// Files of tests/data.
inline constexpr char kDiabetes[] =
    " --predictions tests/data/diabetes_predictions.npy"
    " --targets tests/data/diabetes_targets.npy";
inline constexpr char kCancer[] =
    " --predictions tests/data/breast_cancer_logits.npy"
    " --targets tests/data/breast_cancer_labels.npy";
inline constexpr char kDigits[] =
    " --predictions tests/data/digits_logits.npy"
    " --targets tests/data/digits_labels.npy";

// Starts bin/PROGRAM with the file descriptors as its output and errors; -1
// and a failure of the test if that cannot be.
pid_t Start(const std::string& program, const std::vector<std::string>& words,
            int out, int err);

// Exit code of a program of ours, 128 and more if a signal ended it.
int Wait(pid_t pid);

// A lossd on a free port, from construction to destruction.
class ServerProcess {
 public:
  explicit ServerProcess(const std::vector<std::string>& flags = {});
  ~ServerProcess();
  ServerProcess(const ServerProcess&) = delete;
  ServerProcess& operator=(const ServerProcess&) = delete;

  const std::string& address() const { return address_; }

 private:
  pid_t pid_ = -1;
  FILE* log_ = nullptr;
  std::string address_;
};

struct Outcome {
  int exit_code = -1;
  std::string out;
  std::string err;
};

class LossctlTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { server_ = new ServerProcess; }
  static void TearDownTestSuite() { delete server_; }

  LossctlTest() : folder_(::testing::TempDir() + "/lossctl_XXXXXX") {
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
  }
  ~LossctlTest() override { std::filesystem::remove_all(folder_); }

  // A file in this test's own folder.
  std::string Path(const std::string& name) const {
    return absl::StrCat(folder_, "/", name);
  }

  // Writes a .npy file of float32 and returns its path.
  std::string WriteFloats(const std::string& name, std::vector<int64_t> shape,
                          const std::vector<float>& values) const {
    Array array = Zeros(v1::DTYPE_FLOAT32, std::move(shape));
    std::memcpy(array.data.data(), values.data(), array.data.size());
    EXPECT_THAT(WriteArray(Path(name), array), IsOk());
    return Path(name);
  }

  // Where the tests' server listens.
  static const std::string& address() { return server_->address(); }

  // Runs `lossctl LINE`, words separated by spaces, against the server.
  Outcome Lossctl(const std::string& line) const {
    return Lossctl(line, address());
  }
  Outcome Lossctl(const std::string& line, const std::string& address) const;

  // The same with --format json; fails the test unless it succeeds.
  Json LossctlJson(const std::string& line) const {
    return LossctlJson(line, address());
  }
  Json LossctlJson(const std::string& line, const std::string& address) const {
    const Outcome outcome = Lossctl(line + " --format json", address);
    EXPECT_EQ(outcome.exit_code, 0) << line << '\n' << outcome.err;
    return Json::parse(outcome.out, nullptr, false);
  }

  // Expects that the server refuses `lossctl LINE`.
  void ExpectRefused(const std::string& line,
                     const std::string& message) const {
    const Outcome outcome = Lossctl(line);
    EXPECT_EQ(outcome.exit_code, 1) << line;
    EXPECT_THAT(outcome.err, ::testing::StartsWith("lossctl: " + message))
        << line;
    EXPECT_EQ(outcome.out, "") << line;
  }

 private:
  static inline ServerProcess* server_ = nullptr;
  std::string folder_;
};

}  // namespace lossd::cli

#endif  // LOSSD_TESTS_INTEGRATION_LOSSCTL_PROGRAM_H_
