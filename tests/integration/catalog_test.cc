// One truth about the losses: registry, oneof, annotations, ListLosses and what
// is really accepted agree.

#include <cstdint>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "client/cli/row_shape.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "lib/core/numerics.h"
#include "lib/core/shape.h"
#include "lib/losses/registry.h"
#include "tests/integration/messages.h"
#include "tests/integration/running_server.h"
#include "tests/support/loss_cases.h"

namespace lossd::test {
namespace {

using google::protobuf::FieldDescriptor;
using testing::AnyOf;
using testing::Each;
using testing::ElementsAreArray;
using testing::IsEmpty;
using testing::Not;

class CatalogTest : public testing::Test {
 protected:
  CatalogTest() {
    const auto losses = server_.Connect().ListLosses();
    EXPECT_TRUE(losses.ok()) << losses.status();
    if (losses.ok()) losses_ = *losses;
  }

  const RunningServer server_;
  std::vector<v1::LossInfo> losses_;
};

TEST_F(CatalogTest, RegistryOneofAndListNameTheSameLosses) {
  std::vector<std::string> registry;
  for (const auto& entry : AllLosses::kTable) registry.emplace_back(entry.name);
  std::vector<std::string> members;
  for (const auto* member : LossMembers()) members.push_back(member->name());
  std::vector<std::string> listed;
  for (const v1::LossInfo& info : losses_) listed.push_back(info.name());
  EXPECT_THAT(members, ElementsAreArray(registry));
  EXPECT_THAT(listed, ElementsAreArray(registry));
}

TEST_F(CatalogTest, MembersAreMappedToTheirOwnLoss) {
  // A case's options become the member of the same name.
  std::set<std::string> seen;
  for (const LossCase& loss_case : LossCases()) {
    v1::LossItem item = ItemOf(Sample(loss_case, {1, 2}, Dtype::kFloat64));
    const google::protobuf::Message& options =
        *MutableOptions(item.mutable_loss());
    const std::string& name =
        options.GetDescriptor()->options().GetExtension(v1::loss).name();
    EXPECT_EQ(name, AllLosses::Find(loss_case.params).name);
    seen.insert(name);
  }
  EXPECT_EQ(seen.size(), LossMembers().size()) << "a loss has no case";
}

TEST_F(CatalogTest, NamesAndAliasesAreUnique) {
  std::set<std::string> names;
  for (const v1::LossInfo& info : losses_) {
    EXPECT_TRUE(names.insert(info.name()).second) << info.name();
    for (const std::string& alias : info.aliases()) {
      EXPECT_TRUE(names.insert(alias).second) << alias;
    }
  }
}

TEST_F(CatalogTest, EveryLossIsDescribedInFull) {
  for (const v1::LossInfo& info : losses_) {
    SCOPED_TRACE(info.name());
    EXPECT_THAT(info.aliases(), Each(Not(IsEmpty())));
    EXPECT_NE(info.task(), v1::TASK_UNSPECIFIED);
    for (const std::string& text :
         {info.summary(), info.formula(), info.target_encoding(),
          info.use_when(), info.avoid_when(), info.example()}) {
      EXPECT_NE(text, "");
    }
    for (const auto& texts :
         {info.advantages(), info.disadvantages(), info.alternatives()}) {
      EXPECT_THAT(texts, Not(IsEmpty()));
      EXPECT_THAT(texts, Each(Not(IsEmpty())));
    }
    EXPECT_THAT(info.row_loss(), AnyOf("mean", "sum", "joint", "element"));
    // Targets come first, unless the loss has none.
    ASSERT_GT(info.inputs_size(), 0);
    EXPECT_EQ(info.inputs(0).name() != "targets",
              absl::StartsWith(info.target_encoding(), "none:"));
    std::set<std::string> names;
    for (const v1::InputInfo& input : info.inputs()) {
      EXPECT_NE(input.name(), "");
      EXPECT_TRUE(names.insert(input.name()).second) << input.name();
      EXPECT_THAT(input.shape(),
                  AnyOf("as predictions", "rows", "[C]", "[D]", "[rows, K]"));
      EXPECT_NE(input.dtypes(), "");
      EXPECT_NE(input.summary(), "");
      // Gradients have the shape of the predictions.
      if (!input.differentiable()) continue;
      EXPECT_EQ(input.shape(), "as predictions");
    }
  }
}

TEST_F(CatalogTest, AlternativesAreLosses) {
  std::set<std::string> names;
  for (const v1::LossInfo& info : losses_) names.insert(info.name());
  for (const v1::LossInfo& info : losses_) {
    for (const std::string& alternative : info.alternatives()) {
      const std::string other = alternative.substr(0, alternative.find(':'));
      EXPECT_EQ(names.count(other), 1u) << info.name() << ": " << alternative;
      EXPECT_NE(other, info.name());
    }
  }
}

TEST_F(CatalogTest, OptionsAreTheFieldsOfTheMessage) {
  ASSERT_EQ(losses_.size(), LossMembers().size());
  for (size_t i = 0; i < losses_.size(); ++i) {
    const auto& message = *LossMembers()[i]->message_type();
    ASSERT_EQ(losses_[i].options_size(), message.field_count());
    for (int j = 0; j < message.field_count(); ++j) {
      const v1::OptionInfo& option = losses_[i].options(j);
      const FieldDescriptor& field = *message.field(j);
      EXPECT_EQ(option.name(), field.name());
      EXPECT_EQ(option.type(),
                field.enum_type() != nullptr ? "enum" : field.type_name());
      EXPECT_NE(option.summary(), "") << field.full_name();
      EXPECT_EQ(option.allowed_values_size() > 0, field.enum_type() != nullptr);
      EXPECT_FALSE(option.optional() && !option.default_value().empty());
    }
  }
}

// What a row of the case may be called, told from how the library computes it.
std::set<std::string> RowLossesOf(const LossCase& loss_case) {
  const LossKernel kernel = ResolvedKernel(loss_case.params);
  switch (kernel.traits.layout) {
    case RowLayout::kElements:
      return {"element"};
    case RowLayout::kFirstAxis:
    case RowLayout::kWhole:
      return {"joint"};
    case RowLayout::kLastAxis:
      break;
  }
  // Row kernels add up classes, or have one value that is no sum; logits of
  // tokens are rows of losses that otherwise have elements.
  if (IsRowwise(loss_case)) return {"sum", "joint", "element"};
  return {kernel.traits.sum_of_elements ? "sum" : "mean"};
}

TEST_F(CatalogTest, RowLossIsWhatIsListed) {
  for (const v1::LossInfo& info : losses_) {
    for (const LossCase& loss_case : LossCases()) {
      if (AllLosses::Find(loss_case.params).name != info.name()) continue;
      EXPECT_EQ(RowLossesOf(loss_case).count(info.row_loss()), 1u)
          << loss_case.name << ": " << info.row_loss();
    }
  }
}

// What lossctl makes room for.
TEST_F(CatalogTest, RowsAreAsLossctlReadsThem) {
  for (const LossCase& loss_case : LossCases()) {
    for (const std::vector<int64_t>& shape :
         {std::vector<int64_t>{4, 3}, {2, 3, 2}}) {
      for (const auto& [semantics, named] :
           {std::pair{Semantics::kStrict, v1::SEMANTICS_STRICT},
            std::pair{Semantics::kPytorch, v1::SEMANTICS_PYTORCH},
            std::pair{Semantics::kKeras, v1::SEMANTICS_KERAS}}) {
        Problem problem = Sample(loss_case, shape, Dtype::kFloat64);
        problem.spec.semantics = semantics;
        EXPECT_EQ(cli::RowShapeOf(ItemOf(problem).loss(), named, shape),
                  RowShapeOf(problem))
            << loss_case.name << ' ' << v1::Semantics_Name(named);
      }
    }
  }
}

TEST_F(CatalogTest, ServerInfoTellsWhatIsInForce) {
  const RunningServer server(
      {.threads = 1, .max_message_bytes = 1 << 20, .max_items = 7});
  const auto info = server.Connect().GetServerInfo();
  ASSERT_TRUE(info.ok()) << info.status();
  EXPECT_THAT(info->version(),
              testing::MatchesRegex("[0-9]+\\.[0-9]+\\.[0-9]+"));
  EXPECT_EQ(info->numerics_version(), std::string(NumericsVersion()));
  EXPECT_EQ(info->simd_target(), std::string(SimdTarget()));
  EXPECT_EQ(info->reproducible(), Reproducible());
  EXPECT_EQ(info->compute_threads(), 1);
  EXPECT_EQ(info->limits().max_message_bytes(), 1 << 20);
  EXPECT_EQ(info->limits().max_items(), 7);
  EXPECT_EQ(info->limits().max_rank(), static_cast<int>(kMaxRank));
  EXPECT_EQ(info->limits().max_list_values(), 65536);
  EXPECT_THAT(info->prediction_dtypes(),
              testing::ElementsAre(v1::DTYPE_FLOAT32, v1::DTYPE_FLOAT64,
                                   v1::DTYPE_FLOAT16, v1::DTYPE_BFLOAT16));
  EXPECT_TRUE(info->streams());
  EXPECT_EQ(info->arena_address(), "");
}

TEST_F(CatalogTest, ReflectionListsTheServices) {
  // A ServerReflectionRequest whose list_services, field 7, is "*".
  const RunningServer::RawReply reply = server_.Send(
      "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo",
      {"\x3a\x01*"});
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  ASSERT_EQ(reply.messages.size(), 1u);
  for (const char* service :
       {"lossd.v1.LossService", "grpc.health.v1.Health"}) {
    EXPECT_THAT(reply.messages[0], testing::HasSubstr(service));
  }
}

TEST_F(CatalogTest, HealthKnowsTheService) {
  const Client client = server_.Connect();
  EXPECT_TRUE(client.CheckHealth().ok());
  EXPECT_TRUE(client.CheckHealth("lossd.v1.LossService").ok());
  EXPECT_EQ(client.CheckHealth("nobody").code(), absl::StatusCode::kNotFound);
}

}  // namespace
}  // namespace lossd::test
