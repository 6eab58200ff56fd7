#include "server/logging.h"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>

namespace lossd {
namespace {

TEST(LoggingTest, JsonStringsAreEscaped) {
  EXPECT_EQ(JsonString("plain"), "\"plain\"");
  const std::string nasty = std::string("a\"b\\c\n\t\x01\x7f/") + '\0' + "é€😀";
  EXPECT_EQ(nlohmann::json::parse(JsonString(nasty)), nasty);
}

TEST(LoggingTest, WhatIsNotUtf8IsReplaced) {
  // Alone, truncated, overlong of each length, a surrogate, beyond Unicode.
  for (const char* bytes :
       {"\xff", "\xc3", "\xe2\x82", "\xc0\x80", "\xe0\x9f\xbf",
        "\xf0\x8f\xbf\xbf", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf8"}) {
    const auto text =
        nlohmann::json::parse(JsonString(bytes)).get<std::string>();
    EXPECT_EQ(text.find("\xef\xbf\xbd"), 0) << text;
  }
  // Their neighbours are characters.
  for (const std::string text :
       {"\xe0\xa0\x80", "\xf0\x90\x80\x80", "\xed\x9f\xbf", "\xee\x80\x80",
        "\xf4\x8f\xbf\xbf"}) {
    EXPECT_EQ(nlohmann::json::parse(JsonString(text)), text);
  }
}

TEST(LoggingTest, ALineIsAnObject) {
  testing::internal::CaptureStdout();
  LogInfo("test", {{"text", "a\"b"},
                   {"list", std::vector<std::string>{"x", "y\n"}},
                   {"whole", int64_t{1} << 60},
                   {"number", 0.5},
                   {"infinite", std::numeric_limits<double>::infinity()},
                   {"truth", true}});
  const std::string line = testing::internal::GetCapturedStdout();
  EXPECT_EQ(line.find('\n'), line.size() - 1) << line;
  const auto log = nlohmann::json::parse(line);
  EXPECT_EQ(log["event"], "test");
  EXPECT_EQ(log["level"], "info");
  EXPECT_EQ(log["text"], "a\"b");
  EXPECT_EQ(log["list"], (nlohmann::json{"x", "y\n"}));
  EXPECT_EQ(log["whole"], int64_t{1} << 60);
  EXPECT_EQ(log["number"], 0.5);
  EXPECT_TRUE(log["infinite"].is_null());
  EXPECT_EQ(log["truth"], true);
}

TEST(LoggingTest, TheLevelDecides) {
  testing::internal::CaptureStdout();
  SetLogLevel("warning");
  LogInfo("quiet", {});
  LogWarning("loud", {});
  SetLogLevel("info");
  LogDebug("quiet", {});
  const std::string text = testing::internal::GetCapturedStdout();
  EXPECT_NE(text.find("loud"), std::string::npos);
  EXPECT_EQ(text.find("quiet"), std::string::npos);
}

}  // namespace
}  // namespace lossd
