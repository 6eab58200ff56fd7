// What `lossctl compute` sends and writes, against a server that only counts.

#include <cstdint>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "client/cli/array_file.h"
#include "client/cli/session.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/client/cli/make_array.h"
#include "tests/client/cli/run_lossctl.h"
#include "tests/client/fake_server.h"
#include "tests/support/status_matchers.h"

namespace lossd::cli {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ComputeTest : public ::testing::Test {
 protected:
  std::string Path(const std::string& name) const { return folder_ / name; }

  std::string Write(const std::string& name, const std::string& text) const {
    std::ofstream(Path(name)) << text;
    return Path(name);
  }

  std::string Write(const std::string& name, const Array& array) const {
    EXPECT_THAT(WriteArray(Path(name), array), IsOk());
    return Path(name);
  }

  // Runs `lossctl compute LINE`, words separated by spaces.
  int Compute(const std::string& line) {
    const Outcome run =
        Lossctl(absl::StrCat("compute --server ", server_.target(), " ", line));
    out_ = run.out;
    err_ = run.err;
    return run.exit_code;
  }

  // The item that was sent last.
  v1::LossItem Sent() { return server_.requests().back().items(0); }

  Array Read(const std::string& name) const {
    const auto array = ReadArray(Path(name), CsvElements::kFloat);
    EXPECT_THAT(array, IsOk()) << name;
    return array.value_or(Array());
  }

  test::FakeServer server_;
  test::TempDir folder_;
  std::string out_;
  std::string err_;
};

// Two rows of two.
const Array kMatrix = Floats({2, 2}, {1, 2, 3, 4});

TEST_F(ComputeTest, ExtraInputsHaveFlagsAndGradientsFiles) {
  const std::string p = Write("p.npy", kMatrix);
  ASSERT_EQ(
      Compute(absl::StrCat(
          "--loss gaussian_nll --full true --predictions ", p, " --targets ", p,
          " --variance ", Write("v.npy", kMatrix), " --gradient_out ",
          Path("g.npy"), " --extra_gradient_out variance=", Path("gv.npy"))),
      kOk)
      << err_;
  EXPECT_TRUE(Sent().loss().gaussian_nll().full());
  EXPECT_EQ(Sent().extra_inputs().at("variance").data(), kMatrix.data);
  EXPECT_EQ(Read("g.npy").data, Floats({2, 2}, {0, 1, 2, 3}).data);
  const Array extra = Read("gv.npy");
  EXPECT_THAT(extra.shape, ElementsAre(2, 2));
  EXPECT_EQ(extra.data, Floats({2, 2}, {100, 101, 102, 103}).data);
}

TEST_F(ComputeTest, ExtraGradientsThatThereAreNoneOfNameTheFlag) {
  const std::string p = Write("p.npy", kMatrix);
  EXPECT_EQ(
      Compute(absl::StrCat("--loss gaussian_nll --predictions ", p,
                           " --targets ", p, " --log_variance ", p,
                           " --extra_gradient_out variance=", Path("g.npy"))),
      kFailed);
  EXPECT_THAT(err_, HasSubstr("--extra_gradient_out variance: got "));
  EXPECT_FALSE(std::filesystem::exists(Path("g.npy")));
}

TEST_F(ComputeTest, LossesWithoutTargetsNeedNone) {
  const std::string p = Write("p.npy", kMatrix);
  ASSERT_EQ(Compute(absl::StrCat("--loss gaussian_kl --predictions ", p,
                                 " --extra_inputs log_variance=", p)),
            kOk)
      << err_;
  EXPECT_FALSE(Sent().has_targets());
  EXPECT_EQ(Sent().extra_inputs().at("log_variance").data(), kMatrix.data);
}

TEST_F(ComputeTest, CsvOfInputsThatTakeIntegersOnlyIsIntegers) {
  const std::string p = Write("p.npy", kMatrix);
  const std::string k = Write("k.csv", "1,0\n0,1\n");
  for (const std::string& flag :
       {absl::StrCat("--target_indices ", k),
        absl::StrCat("--extra_inputs target_indices=", k)}) {
    ASSERT_EQ(
        Compute(absl::StrCat("--loss cce --tail_policy uniform_tail ", flag,
                             " --predictions ", p, " --targets ", p,
                             " --class_weights ", Write("c.csv", "1\n2"))),
        kOk)
        << err_;
    const v1::Tensor indices = Sent().extra_inputs().at("target_indices");
    EXPECT_EQ(indices.dtype(), v1::DTYPE_INT64);
    EXPECT_EQ(indices.data(), Integers({2, 2}, {1, 0, 0, 1}).data);
    EXPECT_EQ(Sent().extra_inputs().at("class_weights").dtype(),
              v1::DTYPE_FLOAT64);
    EXPECT_EQ(Sent().loss().categorical_cross_entropy().tail_policy(),
              v1::TAIL_POLICY_UNIFORM_TAIL);
  }
}

TEST_F(ComputeTest, DiagnosticsArePrintedWhenAskedFor) {
  server_.edit = [](v1::ComputeResponse* response) {
    (*response->mutable_results(0)->mutable_diagnostics())["accuracy"] = 0.75;
    (*response->mutable_results(0)->mutable_diagnostics())["clipped_count"] = 0;
  };
  const std::string p = Write("p.npy", kMatrix);
  const std::string line =
      absl::StrCat("--loss hinge --predictions ", p, " --targets ", p);
  ASSERT_EQ(Compute(line), kOk) << err_;
  EXPECT_FALSE(Sent().outputs().diagnostics());
  ASSERT_EQ(Compute(line + " --diagnostics --semantics keras"), kOk) << err_;
  EXPECT_TRUE(Sent().outputs().diagnostics());
  EXPECT_EQ(Sent().semantics(), v1::SEMANTICS_KERAS);
  EXPECT_THAT(out_, HasSubstr("\naccuracy          0.75\n"));
  // The count is a field of every result.
  EXPECT_EQ(out_.find("clipped_count"), out_.rfind("clipped_count"));
  ASSERT_EQ(Compute(line + " --diagnostics --format json"), kOk) << err_;
  EXPECT_EQ(nlohmann::json::parse(out_)["diagnostics"]["accuracy"], 0.75);
}

TEST_F(ComputeTest, HalfTypesComeAndGo) {
  const std::vector<uint16_t> bits = {0x3c00, 0x4000, 0x4200, 0x4400};
  for (const v1::Dtype dtype : {v1::DTYPE_FLOAT16, v1::DTYPE_BFLOAT16}) {
    const std::string p = Write("p.npy", MakeArray(dtype, {2, 2}, bits));
    const std::string line =
        absl::StrCat("--loss mse --predictions ", p, " --targets ", p,
                     " --gradient_out ", Path("g.npy"));
    ASSERT_EQ(Compute(line), kOk) << err_;
    EXPECT_EQ(Sent().predictions().dtype(), dtype);
    EXPECT_EQ(Sent().predictions().data(), MakeArray(dtype, {2, 2}, bits).data);
    EXPECT_EQ(Read("g.npy").dtype, dtype);
    EXPECT_EQ(Read("g.npy").data,
              MakeArray<uint16_t>(dtype, {4}, {0, 1, 2, 3}).data);
    ASSERT_EQ(Compute(line + " --gradient_dtype float32"), kOk) << err_;
    EXPECT_EQ(Read("g.npy").dtype, v1::DTYPE_FLOAT32);
  }
  const std::string p = Write("p.npy", kMatrix);
  ASSERT_EQ(Compute(absl::StrCat("--loss mse --predictions ", p, " --targets ",
                                 p, " --gradient_dtype bfloat16",
                                 " --gradient_out ", Path("g.npy"))),
            kOk)
      << err_;
  EXPECT_EQ(Sent().outputs().gradient_dtype(), v1::DTYPE_BFLOAT16);
  EXPECT_EQ(Read("g.npy").dtype, v1::DTYPE_BFLOAT16);
}

TEST_F(ComputeTest, RowLossesHaveTheShapeOfTheRows) {
  const std::string p = Write("p.npy", kMatrix);
  const std::string line =
      absl::StrCat("--loss mse --predictions ", p, " --targets ", p,
                   " --row_losses_out ", Path("r.npy"));
  ASSERT_EQ(Compute(line), kOk) << err_;
  EXPECT_THAT(Read("r.npy").shape, ElementsAre(2));
  server_.elements_are_rows = true;
  ASSERT_EQ(Compute(line + " --semantics pytorch"), kOk) << err_;
  EXPECT_THAT(Read("r.npy").shape, ElementsAre(2, 2));
  EXPECT_EQ(Read("r.npy").data, Floats({2, 2}, {0, 10, 20, 30}).data);
}

TEST_F(ComputeTest, EveryOutputNeedsAFileOfItsOwn) {
  const std::string p = Write("p.npy", kMatrix);
  std::filesystem::create_symlink(p, Path("link.npy"));
  const std::string line = absl::StrCat("--loss gaussian_nll --predictions ", p,
                                        " --targets ", p, " --variance ", p);
  const auto refused = [&](const std::string& flags) {
    EXPECT_EQ(Compute(absl::StrCat(line, " ", flags)), kUsage) << flags;
    EXPECT_THAT(err_, HasSubstr("allowed: another file than that of --"))
        << flags;
    EXPECT_THAT(server_.requests(), IsEmpty());
    EXPECT_FALSE(std::filesystem::exists(Path("g.npy"))) << flags;
  };
  const std::string g = Path("g.npy");
  const std::string other_g = folder_ / "./g.npy";
  refused(absl::StrCat("--gradient_out ", g, " --row_losses_out ", other_g));
  refused(absl::StrCat("--extra_gradient_out variance=", g, " --gradient_out ",
                       other_g));
  refused(absl::StrCat("--extra_gradient_out variance=", g,
                       " --extra_gradient_out log_variance=", other_g));
  refused(absl::StrCat("--gradient_out ", p));
  refused(absl::StrCat("--row_losses_out ", Path("link.npy")));
  const std::string u = Write("u.npy", Floats({1}, {2}));
  refused(absl::StrCat("--upstream_gradient ", u, " --row_losses_out ", u));
  refused(absl::StrCat("--extra_inputs colour=", u, " --gradient_out ", u));
  EXPECT_EQ(Read("p.npy").data, kMatrix.data);
}

TEST_F(ComputeTest, ExtraGradientsAreNamedOnceWithAFile) {
  const std::string p = Write("p.npy", kMatrix);
  const std::string line = absl::StrCat("--loss gaussian_nll --predictions ", p,
                                        " --targets ", p, " --variance ", p);
  for (const char* bad : {"variance", "=g.npy"}) {
    EXPECT_EQ(Compute(absl::StrCat(line, " --extra_gradient_out ", bad)),
              kUsage);
    EXPECT_THAT(err_, AllOf(HasSubstr(absl::StrCat("got '", bad, "'")),
                            HasSubstr("allowed: NAME=FILE")));
  }
  EXPECT_EQ(Compute(absl::StrCat(line, " --extra_gradient_out variance=")),
            kUsage);
  EXPECT_EQ(Compute(absl::StrCat(
                line, " --extra_gradient_out variance=", Path("a.npy"),
                " --extra_gradient_out variance=", Path("b.npy"))),
            kUsage);
  EXPECT_THAT(err_, HasSubstr("--extra_gradient_out variance: given twice"));
}

TEST_F(ComputeTest, RepliesMayLeaveOutWhatWasInForce) {
  server_.edit = [](v1::ComputeResponse* response) {
    response->mutable_results(0)->clear_loss_in_force();
  };
  const std::string p = Write("p.npy", kMatrix);
  const std::string line =
      absl::StrCat("--loss mse --predictions ", p, " --targets ", p);
  EXPECT_EQ(Compute(line), kOk) << err_;
  EXPECT_EQ(Compute(line + " --format json"), kOk) << err_;
}

TEST_F(ComputeTest, HelpTellsOfGradientsAndSwitches) {
  ASSERT_EQ(Compute("--loss gaussian_nll --help"), kOk);
  EXPECT_THAT(
      out_, AllOf(HasSubstr("--variance"), HasSubstr("has a gradient"),
                  HasSubstr("--full true|false"), HasSubstr("--diagnostics")));
}

}  // namespace
}  // namespace lossd::cli
