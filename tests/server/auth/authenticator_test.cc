#include "server/auth/authenticator.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include <fstream>
#include <string>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace lossd {
namespace {

// No descriptors for this process, as long as this lives.
class NoDescriptors {
 public:
  NoDescriptors() {
    getrlimit(RLIMIT_NOFILE, &before_);
    const rlimit none = {0, before_.rlim_max};
    setrlimit(RLIMIT_NOFILE, &none);
  }
  ~NoDescriptors() { setrlimit(RLIMIT_NOFILE, &before_); }
  NoDescriptors(const NoDescriptors&) = delete;
  NoDescriptors& operator=(const NoDescriptors&) = delete;

 private:
  rlimit before_ = {};
};

// Or who is no longer in the file could go on.
TEST(AuthenticatorTest, ReadsAgainWhatCouldNotBeReadAtOnce) {
  const test::TempDir dir;
  const std::string path = dir / "identities";
  std::ofstream(path) << "a\n";
  Authenticator authenticator(path);
  ASSERT_THAT(authenticator.Load(), IsOk());
  std::ofstream(path) << "bb\n";
  {
    const NoDescriptors none;
    EXPECT_TRUE(absl::IsUnavailable(authenticator.LoadIfChanged()));
  }
  EXPECT_NE(authenticator.Current()->FindName("a"), nullptr);
  EXPECT_THAT(authenticator.LoadIfChanged(), IsOk());
  EXPECT_EQ(authenticator.Current()->FindName("a"), nullptr);
  EXPECT_NE(authenticator.Current()->FindName("bb"), nullptr);
}

}  // namespace
}  // namespace lossd
