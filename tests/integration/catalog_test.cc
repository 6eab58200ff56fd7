// One truth about the losses: registry, oneof, annotations, ListLosses and what
// is really accepted agree.

#include <cstdint>
#include <map>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_split.h"
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
    EXPECT_THAT(info.aliases(), Not(IsEmpty()));
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
    EXPECT_TRUE(info.row_loss() == "mean" || info.row_loss() == "sum");
    ASSERT_GT(info.inputs_size(), 0);
    EXPECT_EQ(info.inputs(0).name(), "targets");
    EXPECT_TRUE(info.inputs(0).required());
    for (const v1::InputInfo& input : info.inputs()) {
      EXPECT_NE(input.name(), "");
      EXPECT_NE(input.shape(), "");
      EXPECT_NE(input.dtypes(), "");
      EXPECT_NE(input.summary(), "");
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

// The loss's first case, computed from tensors of ones: a good target for
// every loss in every dtype.
v1::LossItem OnesFor(const std::string& loss) {
  for (const LossCase& loss_case : LossCases()) {
    if (AllLosses::Find(loss_case.params).name != loss) continue;
    Problem problem = Sample(loss_case, {2, 3}, Dtype::kFloat64);
    for (double& target : problem.targets) target = 1;
    for (int64_t& label : problem.labels) label = 1;
    return ItemOf(problem);
  }
  ADD_FAILURE() << loss << " has no case";
  return {};
}

// The tensor's numbers, all 1, in another dtype. For dtypes that the tests
// cannot write, zeros: such dtypes are refused unread.
v1::Tensor OnesIn(v1::Dtype dtype, const v1::Tensor& like) {
  const std::vector<int64_t> shape(like.shape().begin(), like.shape().end());
  size_t count = 1;
  for (const int64_t size : shape) count *= static_cast<size_t>(size);
  switch (dtype) {
    case v1::DTYPE_FLOAT32:
      return TensorOf(dtype, std::vector<float>(count, 1), shape);
    case v1::DTYPE_FLOAT64:
      return TensorOf(dtype, std::vector<double>(count, 1), shape);
    case v1::DTYPE_INT32:
      return TensorOf(dtype, std::vector<int32_t>(count, 1), shape);
    case v1::DTYPE_INT64:
      return TensorOf(dtype, std::vector<int64_t>(count, 1), shape);
    case v1::DTYPE_BOOL:
      return TensorOf(dtype, std::vector<uint8_t>(count, 1), shape);
    default:
      return TensorOf(dtype, std::vector<uint16_t>(count), shape);
  }
}

// "float32" of DTYPE_FLOAT32.
std::string DtypeText(v1::Dtype dtype) {
  std::string text = v1::Dtype_Name(dtype).substr(sizeof("DTYPE_") - 1);
  for (char& letter : text) letter = static_cast<char>(std::tolower(letter));
  return text;
}

TEST_F(CatalogTest, InputsTakeTheDtypesThatAreListedAndNoOthers) {
  for (const v1::LossInfo& info : losses_) {
    for (const v1::InputInfo& input : info.inputs()) {
      const std::set<std::string> listed = absl::StrSplit(input.dtypes(), ", ");
      for (int number = v1::DTYPE_FLOAT32; number <= v1::Dtype_MAX; ++number) {
        const auto dtype = static_cast<v1::Dtype>(number);
        v1::LossItem item = OnesFor(info.name());
        v1::Tensor* tensor = item.mutable_targets();
        if (input.name() != "targets") {
          tensor = &(*item.mutable_extra_inputs())[input.name()];
          tensor->clear_shape();
          tensor->add_shape(3);
        }
        *tensor = OnesIn(dtype, *tensor);
        // An option of the same name would be refused beside it.
        auto* options = MutableOptions(item.mutable_loss());
        const auto* option =
            options->GetDescriptor()->FindFieldByName(input.name());
        if (option != nullptr) {
          options->GetReflection()->ClearField(options, option);
        }
        const v1::ItemStatus status = server_.Compute(item).status();
        EXPECT_EQ(status.code() == 0, listed.count(DtypeText(dtype)) == 1)
            << info.name() << ' ' << input.name() << ' ' << DtypeText(dtype)
            << ": " << status.message();
      }
    }
  }
}

TEST_F(CatalogTest, ExtraInputsAreAcceptedWhereTheyAreListed) {
  std::set<std::string> all = {"nonsense"};
  for (const v1::LossInfo& info : losses_) {
    for (const auto& input : info.inputs()) all.insert(input.name());
  }
  all.erase("targets");
  for (const v1::LossInfo& info : losses_) {
    std::set<std::string> listed;
    for (const auto& input : info.inputs()) listed.insert(input.name());
    for (const std::string& name : all) {
      if (listed.count(name) == 1) continue;
      v1::LossItem item = OnesFor(info.name());
      (*item.mutable_extra_inputs())[name] =
          TensorOf(v1::DTYPE_FLOAT64, std::vector<double>(3, 1), {3});
      const v1::ItemStatus status = server_.Compute(item).status();
      ASSERT_EQ(status.violations_size(), 1) << info.name() << ' ' << name;
      EXPECT_EQ(status.violations(0).field(), "extra_inputs." + name);
    }
  }
}

// The element-wise engine averages columns, row kernels add up classes.
TEST_F(CatalogTest, RowLossIsAMeanOrASumAsListed) {
  for (const v1::LossInfo& info : losses_) {
    for (const LossCase& loss_case : LossCases()) {
      if (AllLosses::Find(loss_case.params).name != info.name()) continue;
      EXPECT_EQ(info.row_loss(), IsRowwise(loss_case) ? "sum" : "mean")
          << info.name();
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
              testing::ElementsAre(v1::DTYPE_FLOAT32, v1::DTYPE_FLOAT64));
  EXPECT_FALSE(info->streams());
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
