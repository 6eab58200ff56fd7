// What fuzzing has found, over again.

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>

#include "gtest/gtest.h"
#include "tests/proto/wire/differential.h"

namespace lossd::wire {
namespace {

TEST(CorpusTest, NothingDiffers) {
  size_t files = 0;
  for (const auto& entry :
       std::filesystem::directory_iterator("tests/fuzz/corpus/wire")) {
    std::ifstream file(entry.path(), std::ios::binary);
    ASSERT_TRUE(file) << entry.path();
    const std::string input(std::istreambuf_iterator<char>(file), {});
    EXPECT_EQ(DifferenceOfInput(input), "") << entry.path();
    ++files;
  }
  EXPECT_GT(files, 0U);
}

}  // namespace
}  // namespace lossd::wire
