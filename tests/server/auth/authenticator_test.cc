#include "server/auth/authenticator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace lossd {
namespace {

// Or who is no longer in the file could go on.
TEST(AuthenticatorTest, TriesAgainWhatCannotBeReadNow) {
  const test::TempDir dir;
  const std::string path = dir / "identities";
  std::ofstream(dir / "file") << "a\n";
  std::filesystem::create_symlink(dir / "file", path);
  Authenticator authenticator(path);
  ASSERT_THAT(authenticator.Load(), IsOk());
  // Nothing lies at its beginning: EIO, as from a disk that fails.
  std::filesystem::remove(path);
  std::filesystem::create_symlink("/proc/self/mem", path);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(absl::IsUnavailable(authenticator.LoadIfChanged())) << i;
  }
  EXPECT_NE(authenticator.Current()->FindName("a"), nullptr);
}

}  // namespace
}  // namespace lossd
