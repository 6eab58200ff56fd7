#ifndef LOSSD_TESTS_SERVER_FAKE_MACHINE_H_
#define LOSSD_TESTS_SERVER_FAKE_MACHINE_H_

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/temp_dir.h"

namespace lossd {

// A machine's /proc and /sys below a folder.
class FakeMachine {
 public:
  void Write(const std::string& path, const std::string& text) const {
    const std::filesystem::path full = dir_ / path;
    std::filesystem::create_directories(full.parent_path());
    std::ofstream(full) << text;
  }
  // What stands before /proc and /sys.
  std::string root() const { return dir_ / ""; }

 private:
  test::TempDir dir_;
};

}  // namespace lossd

#endif  // LOSSD_TESTS_SERVER_FAKE_MACHINE_H_
