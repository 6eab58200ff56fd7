#include "server/config/options.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <cstdint>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "tests/support/status_matchers.h"
#include "tests/support/temp_dir.h"

namespace lossd {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

absl::StatusOr<CommandLine> Parse(std::vector<const char*> arguments) {
  arguments.insert(arguments.begin(), "lossd");
  return ParseCommandLine(static_cast<int>(arguments.size()), arguments.data());
}

class Environment {
 public:
  Environment(const char* name, const char* value) : name_(name) {
    setenv(name, value, 1);
  }
  ~Environment() { unsetenv(name_); }

 private:
  const char* name_;
};

TEST(OptionsTest, Defaults) {
  const auto line = Parse({});
  ASSERT_THAT(line, IsOk());
  EXPECT_THAT(line->text, IsEmpty());
  EXPECT_THAT(line->options.listen, ElementsAre("127.0.0.1:50051"));
  EXPECT_EQ(line->options.metrics_listen, "127.0.0.1:9464");
  EXPECT_EQ(line->options.threads, 0);
  EXPECT_EQ(line->options.max_message_bytes, 256 << 20);
  EXPECT_EQ(line->options.memory_budget, 0);
  EXPECT_EQ(line->options.max_items, 16384);
  EXPECT_EQ(line->options.log_level, "info");
}

TEST(OptionsTest, ListenIsRepeatableAndReplacesTheDefault) {
  const auto line = Parse({"--listen", "unix:/tmp/x", "--listen=[::1]:0"});
  ASSERT_THAT(line, IsOk());
  EXPECT_THAT(line->options.listen, ElementsAre("unix:/tmp/x", "[::1]:0"));
}

TEST(OptionsTest, MetricsCanBeTurnedOff) {
  for (const auto& arguments :
       std::vector<std::vector<const char*>>{{"--metrics_listen", ""},
                                             {"--metrics_listen="},
                                             {"--metrics_listen=off"}}) {
    const auto line = Parse(arguments);
    ASSERT_THAT(line, IsOk());
    EXPECT_THAT(line->options.metrics_listen, IsEmpty());
  }
  const Environment variable("LOSSD_METRICS_LISTEN", "off");
  const auto line = Parse({});
  ASSERT_THAT(line, IsOk());
  EXPECT_THAT(line->options.metrics_listen, IsEmpty());
}

TEST(OptionsTest, ArenasAreOffUnlessTheyHaveAnAddress) {
  for (const auto& arguments : std::vector<std::vector<const char*>>{
           {}, {"--arena_listen="}, {"--arena_listen=off"}}) {
    const auto line = Parse(arguments);
    ASSERT_THAT(line, IsOk());
    EXPECT_THAT(line->options.arena_listen, IsEmpty());
  }
  const auto line =
      Parse({"--arena_listen=unix:/tmp/arenas", "--socket_group=users"});
  ASSERT_THAT(line, IsOk());
  EXPECT_EQ(line->options.arena_listen, "unix:/tmp/arenas");
  EXPECT_EQ(line->options.socket_group, "users");
}

TEST(OptionsTest, TheEnvironmentStandsInForFlags) {
  const Environment listen("LOSSD_LISTEN", "127.0.0.1:1,unix:/tmp/x");
  const Environment threads("LOSSD_THREADS", "3");
  const auto line = Parse({});
  ASSERT_THAT(line, IsOk());
  EXPECT_THAT(line->options.listen, ElementsAre("127.0.0.1:1", "unix:/tmp/x"));
  EXPECT_EQ(line->options.threads, 3);
  const auto flags = Parse({"--threads=2", "--listen=127.0.0.1:5"});
  ASSERT_THAT(flags, IsOk());
  EXPECT_EQ(flags->options.threads, 2);
  EXPECT_THAT(flags->options.listen, ElementsAre("127.0.0.1:5"));
}

TEST(OptionsTest, TheMemoryBudgetIsInBytes) {
  const Environment variable("LOSSD_MEMORY_BUDGET", "8589934592");
  const auto environment = Parse({});
  ASSERT_THAT(environment, IsOk());
  EXPECT_EQ(environment->options.memory_budget, int64_t{8} << 30);
  for (const auto& [flag, bytes] : std::vector<std::pair<const char*, int64_t>>{
           {"--memory_budget=0", 0},
           {"--memory_budget=1048576", 1 << 20},
           {"--memory_budget=1125899906842624", int64_t{1} << 50}}) {
    const auto line = Parse({flag});
    ASSERT_THAT(line, IsOk()) << flag;
    EXPECT_EQ(line->options.memory_budget, bytes);
  }
}

TEST(OptionsTest, VersionAndHelpAreTexts) {
  const auto version = Parse({"--version"});
  ASSERT_THAT(version, IsOk());
  EXPECT_EQ(version->text, "lossd " LOSSD_VERSION "\n");
  const auto help = Parse({"--help"});
  ASSERT_THAT(help, IsOk());
  EXPECT_THAT(help->text, AllOf(HasSubstr("--listen"),
                                HasSubstr("LOSSD_MAX_MESSAGE_BYTES")));
}

TEST(OptionsTest, AFlagFileStandsInForTheEnvironment) {
  const test::TempDir dir;
  std::ofstream(dir / "flags") << "# a comment\n"
                                  "--threads = 3\n"
                                  "\n"
                                  "listen=127.0.0.1:1,unix:/tmp/x\n"
                                  "listen=127.0.0.1:2\n"
                                  "metrics_listen=\n"
                                  "max_items=7\n"
                                  "allow_plaintext=true\n"
                                  "reflection=false\n";
  const std::string flag = "--flag_file=" + (dir / "flags");
  const auto line = Parse({flag.c_str()});
  ASSERT_THAT(line, IsOk());
  EXPECT_EQ(line->options.threads, 3);
  EXPECT_THAT(line->options.listen,
              ElementsAre("127.0.0.1:1", "unix:/tmp/x", "127.0.0.1:2"));
  EXPECT_THAT(line->options.metrics_listen, IsEmpty());
  EXPECT_EQ(line->options.max_items, 7);
  EXPECT_TRUE(line->options.allow_plaintext);
  EXPECT_FALSE(line->options.reflection);

  const Environment file("LOSSD_FLAG_FILE", (dir / "flags").c_str());
  const Environment threads("LOSSD_THREADS", "5");
  const Environment items("LOSSD_MAX_ITEMS", "8");
  const auto all = Parse({"--threads=6", "--listen=127.0.0.1:4"});
  ASSERT_THAT(all, IsOk());
  EXPECT_EQ(all->options.threads, 6);
  EXPECT_EQ(all->options.max_items, 8);
  EXPECT_THAT(all->options.listen, ElementsAre("127.0.0.1:4"));
}

TEST(OptionsTest, WhatIsPrintedIsAFlagFile) {
  const test::TempDir dir;
  const auto printed =
      Parse({"--print_config", "--threads=3", "--listen=127.0.0.1:1",
             "--listen=unix:/tmp/x", "--metrics_listen=off",
             "--drain_delay=1.5", "--reflection=false", "--socket_group=g"});
  ASSERT_THAT(printed, IsOk());
  EXPECT_THAT(printed->text, HasSubstr("listen=127.0.0.1:1,unix:/tmp/x\n"));
  std::ofstream(dir / "flags") << printed->text;
  const std::string flag = "--flag_file=" + (dir / "flags");
  const auto again = Parse({flag.c_str(), "--print_config"});
  ASSERT_THAT(again, IsOk());
  EXPECT_EQ(again->text, printed->text);
}

TEST(OptionsTest, EveryFlagIsPrinted) {
  const auto help = Parse({"--help"});
  ASSERT_THAT(help, IsOk());
  for (const auto& [name, value] : Described(ServerOptions())) {
    EXPECT_THAT(help->text, HasSubstr("--" + name));
  }
  // Those that are printed, and LOSSD_FLAG_FILE.
  size_t variables = 0;
  for (size_t at = 0; (at = help->text.find("Env:", at)) != std::string::npos;
       ++at) {
    ++variables;
  }
  EXPECT_EQ(variables, Described(ServerOptions()).size() + 1);
}

TEST(OptionsTest, FlagFilesThatAreRefused) {
  const test::TempDir dir;
  for (const auto& [text, why] :
       std::vector<std::pair<std::string, std::string>>{
           {"threads=2\nthreds=3\n",
            "line 2: threds is unknown, did you mean threads?"},
           {"colour=red\n", "line 1: colour is unknown"},
           {"threads\n", "line 1: 'threads' is not name=value"},
           {"threads=many\n", "line 1: "},
           {"listen=everywhere\n", "line 1: "},
           {"flag_file=more\n", "line 1: flag_file is unknown"},
           {"help=true\n", "line 1: help is unknown"}}) {
    std::ofstream(dir / "flags") << text;
    const std::string flag = "--flag_file=" + (dir / "flags");
    EXPECT_THAT(Parse({flag.c_str()}),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         AllOf(HasSubstr(dir / "flags"), HasSubstr(why),
                               Not(HasSubstr("\n")))))
        << text;
  }
  const std::string missing = "--flag_file=" + (dir / "none");
  EXPECT_THAT(
      Parse({missing.c_str()}),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("No such file")));
}

TEST(OptionsTest, UnknownNamesWithASuggestion) {
  EXPECT_THAT(Parse({"--thread=2"}),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       "--thread=2 is unknown, did you mean --threads?"));
  const Environment variable("LOSSD_THREAD", "2");
  EXPECT_THAT(Parse({}), StatusIs(absl::StatusCode::kInvalidArgument,
                                  HasSubstr("LOSSD_THREAD is unknown, did you "
                                            "mean LOSSD_THREADS?")));
}

TEST(OptionsTest, VariablesOfKubernetesAndOfLossctl) {
  const Environment host("LOSSD_SERVICE_HOST", "10.0.0.1");
  const Environment port("LOSSD_SERVICE_PORT_GRPC", "50051");
  const Environment address("LOSSD_PORT_50051_TCP_ADDR", "10.0.0.1");
  const Environment url("LOSSD_PORT", "tcp://10.0.0.1:50051");
  const Environment client("LOSSD_SERVER", "127.0.0.1:50051");
  EXPECT_THAT(Parse({}), IsOk());
}

class RefusedOptionsTest
    : public testing::TestWithParam<std::vector<const char*>> {};

TEST_P(RefusedOptionsTest, NameTheFlagInOneLine) {
  // The last argument is what the message must name.
  std::vector<const char*> arguments = GetParam();
  const std::string named = arguments.back();
  arguments.pop_back();
  EXPECT_THAT(Parse(arguments),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       AllOf(HasSubstr(named), Not(HasSubstr("\n")))));
}

INSTANTIATE_TEST_SUITE_P(
    All, RefusedOptionsTest,
    testing::Values(
        std::vector<const char*>{"--colour", "--colour"},
        std::vector<const char*>{"serve", "serve"},
        std::vector<const char*>{"--threads=many", "--threads"},
        std::vector<const char*>{"--threads=-1", "--threads"},
        std::vector<const char*>{"--threads=1025", "--threads"},
        std::vector<const char*>{"--max_message_bytes=1073741825",
                                 "--max_message_bytes"},
        std::vector<const char*>{"--max_message_bytes=1",
                                 "--max_message_bytes"},
        std::vector<const char*>{"--memory_budget=-1", "--memory_budget"},
        std::vector<const char*>{"--memory_budget=1048575", "--memory_budget"},
        std::vector<const char*>{"--memory_budget=1125899906842625",
                                 "--memory_budget"},
        std::vector<const char*>{"--memory_budget=8GiB", "--memory_budget"},
        std::vector<const char*>{"--max_items=0", "--max_items"},
        std::vector<const char*>{"--max_connections=0", "--max_connections"},
        std::vector<const char*>{"--tls_key=k", "--tls_certificate"},
        std::vector<const char*>{"--tls_certificate=c", "--tls_key"},
        std::vector<const char*>{"--tls_client_ca=c", "--tls_client_ca"},
        std::vector<const char*>{"--reflection=maybe", "--reflection"},
        std::vector<const char*>{"--drain_delay=-1", "--drain_delay"},
        std::vector<const char*>{"--drain_timeout=nan", "--drain_timeout"},
        std::vector<const char*>{"--log_level=loud", "--log_level"},
        std::vector<const char*>{"--listen=50051", "--listen"},
        std::vector<const char*>{"--listen=127.0.0.1:65536", "--listen"},
        std::vector<const char*>{"--listen=::1:50051", "--listen"},
        std::vector<const char*>{"--listen=unix:", "--listen"},
        std::vector<const char*>{"--arena_listen=127.0.0.1:5",
                                 "--arena_listen"},
        std::vector<const char*>{"--arena_listen=/tmp/x", "--arena_listen"},
        std::vector<const char*>{"--metrics_listen=unix:/tmp/x",
                                 "--metrics_listen"}));

}  // namespace
}  // namespace lossd
