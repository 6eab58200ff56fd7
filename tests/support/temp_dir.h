#ifndef LOSSD_TESTS_SUPPORT_TEMP_DIR_H_
#define LOSSD_TESTS_SUPPORT_TEMP_DIR_H_

#include <stdlib.h>

#include <filesystem>
#include <string>

namespace lossd::test {

// A folder that is there as long as this.
class TempDir {
 public:
  TempDir() {
    std::string name = std::filesystem::temp_directory_path() / "lossd_XXXXXX";
    path_ = mkdtemp(name.data());
  }
  ~TempDir() { std::filesystem::remove_all(path_); }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;

  std::string operator/(const std::string& name) const {
    return path_ + "/" + name;
  }

 private:
  std::string path_;
};

}  // namespace lossd::test

#endif  // LOSSD_TESTS_SUPPORT_TEMP_DIR_H_
