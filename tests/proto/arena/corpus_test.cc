// What fuzzing has reached, over again.

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iterator>
#include <span>
#include <string>

#include "tests/proto/arena/round_trip.h"

namespace lossd::arena {
namespace {

TEST(ArenaCorpusTest, WhatIsReadIsWrittenAgain) {
  size_t files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("tests/fuzz/corpus/arena")) {
    std::ifstream file(entry.path(), std::ios::binary);
    ASSERT_TRUE(file) << entry.path();
    const std::string packet(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(RoundTripDifference(std::as_bytes(std::span(packet))), "")
        << entry.path();
    ++files;
  }
  EXPECT_GT(files, 0U);
}

}  // namespace
}  // namespace lossd::arena
