#include "server/auth/identities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using ::testing::HasSubstr;
using ::testing::IsNull;
using ::testing::NotNull;

constexpr char kToken[] = "0123456789abcdef";

TEST(IdentitiesTest, NamesTokensAndShares) {
  const auto identities = Identities::Parse(
      "# all of them\n"
      "trainer-a max_bytes=5 token=0123456789abcdef # both\n"
      "\n"
      "\ttrainer-b\r\n",
      nullptr);
  ASSERT_THAT(identities, IsOk());
  EXPECT_EQ((*identities)->all().size(), 2U);
  const Identity* found = (*identities)->FindToken(kToken);
  ASSERT_THAT(found, NotNull());
  EXPECT_EQ(found->name, "trainer-a");
  ASSERT_THAT(found->share, NotNull());
  EXPECT_EQ(found->share->limit(), 5);
  EXPECT_EQ((*identities)->FindName("trainer-a"), found);
  const Identity* other = (*identities)->FindName("trainer-b");
  ASSERT_THAT(other, NotNull());
  EXPECT_EQ(other->share->limit(), MemoryShare::kUnlimited);
  EXPECT_TRUE(found->has_token);
  EXPECT_FALSE(other->has_token);
  EXPECT_THAT((*identities)->FindToken("0123456789abcdeF"), IsNull());
  EXPECT_THAT((*identities)->FindToken(""), IsNull());
  EXPECT_THAT((*identities)->FindName("trainer"), IsNull());
}

TEST(IdentitiesTest, SharesGoOnUnderTheirNames) {
  const auto before =
      Identities::Parse("a max_bytes=5\nb max_bytes=6\n", nullptr);
  ASSERT_THAT(before, IsOk());
  const auto share = (*before)->FindName("a")->share;
  ASSERT_TRUE(share->Take(3));
  (*before)->FindName("a")->use->calls = 7;
  const auto between = Identities::Parse("a\n", before->get());
  ASSERT_THAT(between, IsOk());
  EXPECT_EQ(share->limit(), MemoryShare::kUnlimited);
  const auto after = Identities::Parse("a max_bytes=9\n", between->get());
  ASSERT_THAT(after, IsOk());
  EXPECT_EQ((*after)->FindName("a")->share, share);
  EXPECT_EQ(share->limit(), 9);
  EXPECT_EQ(share->taken(), 3);
  EXPECT_EQ((*after)->FindName("a")->use->calls, 7U);
}

TEST(IdentitiesTest, ARefusedFileChangesNothing) {
  const auto before = Identities::Parse("a max_bytes=5\n", nullptr);
  ASSERT_THAT(before, IsOk());
  EXPECT_THAT(Identities::Parse("a max_bytes=9\nb oops\n", before->get()),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("line 2: word 2 of b")));
  EXPECT_EQ((*before)->FindName("a")->share->limit(), 5);
}

}  // namespace
}  // namespace lossd
