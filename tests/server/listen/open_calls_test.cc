#include "server/listen/open_calls.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <list>
#include <string>
#include <vector>

namespace lossd {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

TEST(OpenCallsTest, ClosesWhoHasTooMany) {
  std::vector<std::string> closed;
  OpenCalls calls(
      2, [&closed](const std::string& peer) { closed.push_back(peer); });
  std::list<OpenCalls::Call> open;
  for (const char* peer : {"a", "b", "a", "b"}) open.emplace_back(calls, peer);
  // One that has ended does not count.
  open.pop_front();
  open.emplace_back(calls, "a");
  EXPECT_THAT(closed, IsEmpty());
  open.emplace_back(calls, "a");
  EXPECT_THAT(closed, ElementsAre("a"));
  // Once, though it may take a while.
  open.emplace_back(calls, "a");
  EXPECT_THAT(closed, ElementsAre("a"));
}

}  // namespace
}  // namespace lossd
