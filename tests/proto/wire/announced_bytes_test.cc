#include "proto/wire/announced_bytes.h"

#include <cstdint>
#include <limits>
#include <string>
#include <string_view>

#include "gtest/gtest.h"

namespace lossd::wire {
namespace {

constexpr int64_t kMax = std::numeric_limits<int64_t>::max();

TEST(AnnouncedBytesTest, WhatIsFormattedIsParsed) {
  EXPECT_EQ(FormatAnnouncedBytes({}), "0,0");
  EXPECT_EQ(FormatAnnouncedBytes({.request = 12, .reply = 345}), "12,345");
  for (const int64_t request : {int64_t{0}, int64_t{1} << 30, kMax}) {
    for (const int64_t reply : {int64_t{0}, int64_t{7}, kMax}) {
      AnnouncedBytes bytes{-1, -1};
      ASSERT_TRUE(ParseAnnouncedBytes(
          FormatAnnouncedBytes({.request = request, .reply = reply}), &bytes));
      EXPECT_EQ(bytes.request, request);
      EXPECT_EQ(bytes.reply, reply);
    }
  }
}

TEST(AnnouncedBytesTest, LeadingZerosPass) {
  AnnouncedBytes bytes;
  ASSERT_TRUE(ParseAnnouncedBytes("00000000000000000000000000007,010", &bytes));
  EXPECT_EQ(bytes.request, 7);
  EXPECT_EQ(bytes.reply, 10);
}

TEST(AnnouncedBytesTest, EverythingElseIsRefused) {
  for (const std::string_view text :
       {"",
        ",",
        "1",
        "1,",
        ",1",
        "1,2,",
        "1,2,3",
        ",1,2",
        "1,,2",
        "1;2",
        "1 2",
        "1, 2",
        " 1,2",
        "1,2 ",
        "1 ,2",
        "-1,2",
        "1,-2",
        "-0,0",
        "0,-0",
        "+1,2",
        "1,+2",
        "1.0,2",
        "1e3,2",
        "0x1,2",
        "1,0x2",
        "a,2",
        "1,b",
        "\t1,2",
        "1,2\n",
        "9223372036854775808,0",
        "0,9223372036854775808",
        "18446744073709551617,0",
        "0,99999999999999999999999999999999999999",
        "\xd9\xa1,2"}) {
    AnnouncedBytes bytes{.request = 5, .reply = 6};
    EXPECT_FALSE(ParseAnnouncedBytes(text, &bytes)) << text;
    EXPECT_EQ(bytes.request, 5) << text;
    EXPECT_EQ(bytes.reply, 6) << text;
  }
  AnnouncedBytes bytes;
  using std::literals::operator""sv;
  EXPECT_FALSE(ParseAnnouncedBytes("1,2\0"sv, &bytes));
  EXPECT_FALSE(ParseAnnouncedBytes("1\0,2"sv, &bytes));
}

// A view need not end where its memory ends.
TEST(AnnouncedBytesTest, NothingBehindTheTextIsRead) {
  AnnouncedBytes bytes;
  ASSERT_TRUE(
      ParseAnnouncedBytes(std::string_view("12,3456").substr(0, 5), &bytes));
  EXPECT_EQ(bytes.reply, 34);
}

}  // namespace
}  // namespace lossd::wire
