#include "server/admin/admin_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace lossd {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

TEST(AdminPageTest, TextIsEscaped) {
  const std::string page = AdminPage(
      "<b>", {"/a\"b"}, {{"R&D", {{"<script>", "\"1\" < 2 && 3 > 2"}}}});
  EXPECT_THAT(page, HasSubstr("<title>&lt;b&gt;</title>"));
  EXPECT_THAT(page, HasSubstr("href=\"/a&quot;b\""));
  EXPECT_THAT(page, HasSubstr("<h2>R&amp;D</h2>"));
  EXPECT_THAT(page, HasSubstr("<td>&lt;script&gt;<td>&quot;1&quot; &lt; 2 "
                              "&amp;&amp; 3 &gt; 2\n"));
  EXPECT_THAT(page, Not(HasSubstr("<script")));
}

TEST(AdminPageTest, Durations) {
  EXPECT_EQ(DurationText(0.9), "0 s");
  EXPECT_EQ(DurationText(61), "1 min 1 s");
  EXPECT_EQ(DurationText(3600), "1 h 0 min 0 s");
  EXPECT_EQ(DurationText(2 * 86400 + 3 * 3600 + 4 * 60 + 5),
            "2 d 3 h 4 min 5 s");
}

}  // namespace
}  // namespace lossd
