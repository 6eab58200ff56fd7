// lossd and its clients as users of their own, with one group in common, as in
// containers that share a folder with the sockets.

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <deque>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/server/arena/arena_client.h"
#include "tests/server/lossd_process.h"
#include "tests/support/child_process.h"
#include "tests/support/temp_dir.h"

namespace lossd::test {
namespace {

using ::testing::HasSubstr;

constexpr uid_t kServerUser = 10001;
constexpr uid_t kClientUser = 1000;
constexpr gid_t kGroup = 2000;

// A program as another user, without capabilities. `groups` as setpriv has
// them.
std::vector<std::string> As(uid_t user, const std::string& groups,
                            const std::vector<std::string>& command) {
  const std::string id = std::to_string(user);
  std::vector<std::string> words = {
      "setpriv", "--reuid=" + id, "--regid=" + id,
      groups.empty() ? "--clear-groups" : "--groups=" + groups};
  words.insert(words.end(), command.begin(), command.end());
  return words;
}

class ArenaUsersTest : public testing::Test {
 protected:
  void SetUp() override {
    if (geteuid() != 0) {
      GTEST_SKIP() << "only root can start programs as other users";
    }
    // Where the programs are built other users need not come.
    for (const char* program : {"lossd", "arena_caller"}) {
      std::filesystem::copy(std::string(LOSSD_BIN_DIR "/") + program,
                            folder_ / program);
    }
    // Anybody can come here: the sockets alone decide.
    ASSERT_EQ(chown((folder_ / "").c_str(), kServerUser, kServerUser), 0);
    ASSERT_EQ(chmod((folder_ / "").c_str(), 0755), 0);
  }

  std::string rpcs() const { return folder_ / "rpcs"; }
  std::string arenas() const { return folder_ / "arenas"; }

  // What starts it as the user of the server, after `before`.
  std::vector<std::string> Lossd(const std::string& groups,
                                 std::vector<std::string> before = {}) const {
    before.push_back(folder_ / "lossd");
    return As(kServerUser, groups, before);
  }

  std::vector<std::string> Flags(const std::vector<std::string>& more) const {
    std::vector<std::string> flags = {"--listen=unix:" + rpcs(),
                                      "--listen=127.0.0.1:0",
                                      "--arena_listen=unix:" + arenas(),
                                      "--metrics_listen=",
                                      "--threads=1",
                                      "--memory_budget=536870912"};
    flags.insert(flags.end(), more.begin(), more.end());
    return flags;
  }

  // Waits until it serves; returns its TCP address.
  static std::string AwaitServing(LossdProcess& lossd) {
    const nlohmann::json serving = lossd.AwaitEvent("serving");
    if (!serving.is_null()) return serving["listen"][1];
    ADD_FAILURE() << "it does not serve: " << lossd.Errors();
    return "";
  }

  // What arena_caller says.
  std::string Call(const std::string& groups, const std::string& what,
                   const std::string& where) const {
    ChildProcess child(
        As(kClientUser, groups, {folder_ / "arena_caller", what, where}));
    std::string said = child.ReadAll();
    child.Wait();
    return said;
  }

  static void ExpectShared(const std::string& path, gid_t group) {
    struct stat status = {};
    ASSERT_EQ(stat(path.c_str(), &status), 0);
    EXPECT_EQ(status.st_mode & 07777U, 0660U) << path;
    EXPECT_EQ(status.st_uid, kServerUser) << path;
    EXPECT_EQ(status.st_gid, group) << path;
  }

  const TempDir folder_;
};

TEST_F(ArenaUsersTest, TheGroupSharesMemoryAndNobodyElse) {
  LossdProcess lossd(Flags({"--socket_group=2000"}), Lossd("2000"));
  const std::string tcp = AwaitServing(lossd);
  ExpectShared(rpcs(), kGroup);
  ExpectShared(arenas(), kGroup);
  EXPECT_EQ(Call("2000", "connect", arenas()), "connected\n");
  EXPECT_EQ(Call("2000", "compute", "unix:" + rpcs()), "same bits\n");
  EXPECT_EQ(Call("2000", "compute", tcp), "same bits\n");
  for (const char* others : {"", "2001", "10002"}) {
    EXPECT_EQ(Call(others, "connect", arenas()),
              "UNAVAILABLE: Permission denied\n");
    EXPECT_EQ(Call(others, "connect", rpcs()),
              "UNAVAILABLE: Permission denied\n");
    // May compute, but not share memory.
    EXPECT_THAT(Call(others, "compute", tcp), HasSubstr("PERMISSION_DENIED"));
  }
  lossd.Signal(SIGTERM);
  lossd.ReadAll();
  EXPECT_EQ(lossd.Wait(), 0);
}

TEST_F(ArenaUsersTest, WithoutAGroupOfTheSocketsItIsThatOfLossd) {
  LossdProcess lossd(Flags({}), Lossd("2000"));
  AwaitServing(lossd);
  ExpectShared(arenas(), kServerUser);
  EXPECT_EQ(Call("2000", "connect", arenas()),
            "UNAVAILABLE: Permission denied\n");
  EXPECT_EQ(Call("10001", "connect", arenas()), "connected\n");
}

TEST_F(ArenaUsersTest, AGroupThatLossdIsNotIn) {
  LossdProcess lossd(Flags({"--socket_group=2000"}), Lossd(""));
  EXPECT_THAT(lossd.Errors(), HasSubstr("to group 2000: "));
  EXPECT_GT(lossd.Wait(), 0);
  EXPECT_FALSE(std::filesystem::exists(arenas()));
}

// Descriptors on their way to clients who do not read count against lossd's
// user, who has no capabilities that would let him send more.
TEST_F(ArenaUsersTest, WhoNeverReadsDoesNotEndTheConnectionsOfOthers) {
  LossdProcess lossd(Flags({}), Lossd("", {"prlimit", "--nofile=64:64"}));
  AwaitServing(lossd);
  const ArenaClient good(arenas());
  const auto created = good.Create(1);
  ASSERT_EQ(created.reply.code, 0U);
  std::deque<ArenaClient> others;
  for (int i = 0; i < 12; ++i) {
    others.emplace_back(arenas());
    for (int arena = 0; arena < 8; ++arena) {
      others.back().Send({.kind = arena::Kind::kCreate, .bytes = 1});
    }
  }
  // As soon as more than 64 are on their way, some seven of each.
  std::string why;
  WaitUntil([&] {
    const auto answer = good.Create(1);
    if (answer.reply.code == 0) good.Free(answer.reply.id);
    why = answer.reply.text;
    return answer.reply.code != 0;
  });
  EXPECT_THAT(why, HasSubstr("no descriptor for an arena: sendmsg: "));
  // It has what it had, and gets more when they have gone.
  EXPECT_EQ(good.Free(created.reply.id).reply.code, 0U);
  others.clear();
  WaitUntil([&] { return good.Create(1).reply.code == 0; });
}

}  // namespace
}  // namespace lossd::test
