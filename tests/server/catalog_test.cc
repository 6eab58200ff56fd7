#include "server/catalog.h"

#include <gmock/gmock.h>
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "lib/losses/registry.h"
#include "server/loss_codec.h"
#include "server/named_loss.h"
#include "tests/support/status_matchers.h"

namespace lossd {
namespace {

using ::testing::HasSubstr;

TEST(CatalogTest, ListsTheLossesOfTheRegistryInItsOrder) {
  const auto& losses = Catalog::Get().list().losses();
  ASSERT_EQ(losses.size(), static_cast<int>(AllLosses::kTable.size()));
  for (int i = 0; i < losses.size(); ++i) {
    EXPECT_EQ(losses[i].name(), AllLosses::kTable[static_cast<size_t>(i)].name);
  }
}

TEST(CatalogTest, EveryLossIsDescribed) {
  for (const v1::LossInfo& loss : Catalog::Get().list().losses()) {
    SCOPED_TRACE(loss.name());
    EXPECT_NE(loss.task(), v1::TASK_UNSPECIFIED);
    for (const std::string& text :
         {loss.summary(), loss.formula(), loss.target_encoding(),
          loss.use_when(), loss.avoid_when(), loss.example()}) {
      EXPECT_FALSE(text.empty());
    }
    EXPECT_GT(loss.advantages_size(), 0);
    EXPECT_GT(loss.disadvantages_size(), 0);
    EXPECT_GT(loss.alternatives_size(), 0);
    EXPECT_GT(loss.inputs_size(), 0);
    for (const v1::OptionInfo& option : loss.options()) {
      SCOPED_TRACE(option.name());
      EXPECT_FALSE(option.name().empty());
      EXPECT_THAT(option.type(),
                  testing::AnyOf("double", "int64", "bool", "enum"));
      EXPECT_FALSE(option.summary().empty());
      EXPECT_EQ(option.type() == "enum", option.allowed_values_size() > 0);
    }
  }
}

TEST(CatalogTest, FindsNamesAndAliases) {
  const auto* huber = Catalog::Get().Find("huber");
  ASSERT_NE(huber, nullptr);
  EXPECT_EQ(huber->name(), "huber");
  for (const auto& [alias, name] : std::map<std::string, std::string>{
           {"mse", "mean_squared_error"},
           {"msle", "mean_squared_logarithmic_error"},
           {"mae", "mean_absolute_error"},
           {"bce", "binary_cross_entropy"},
           {"cce", "categorical_cross_entropy"},
           {"scce", "sparse_categorical_cross_entropy"},
           {"kld", "kullback_leibler_divergence"},
           {"MSE", "mean_squared_error"},
           {"Kullback_Leibler_Divergence", "kullback_leibler_divergence"}}) {
    ASSERT_NE(Catalog::Get().Find(alias), nullptr) << alias;
    EXPECT_EQ(Catalog::Get().Find(alias)->name(), name);
  }
  EXPECT_EQ(Catalog::Get().Find("named"), nullptr);
  EXPECT_EQ(Catalog::Get().Find(""), nullptr);
}

// An option of the typed message as the annotations write defaults; nothing if
// it is unset.
std::string TextOf(const google::protobuf::Message& options,
                   const v1::OptionInfo& info) {
  const auto& reflection = *options.GetReflection();
  const auto* field = options.GetDescriptor()->FindFieldByName(info.name());
  if (info.type() == "enum") {
    const std::string name = ShortName(*reflection.GetEnum(options, field));
    return name == "UNSPECIFIED" ? "" : name;
  }
  if (!reflection.HasField(options, field)) return "";
  if (info.type() == "bool") {
    return reflection.GetBool(options, field) ? "true" : "false";
  }
  if (info.type() == "int64") {
    return absl::StrCat(reflection.GetInt64(options, field));
  }
  // "1e-7" is written so in the annotations, and shortest here.
  double documented = 0;
  const double number = reflection.GetDouble(options, field);
  return absl::SimpleAtod(info.default_value(), &documented) &&
                 documented == number
             ? info.default_value()
             : absl::StrCat(number);
}

// The proto documents the defaults, the library applies them.
TEST(CatalogTest, DocumentedDefaultsAreTheLibrarys) {
  for (const AllLosses::Entry& entry : AllLosses::kTable) {
    const std::string name(entry.name);
    const auto& losses = Catalog::Get().list().losses();
    const auto info = std::ranges::find(losses, name, &v1::LossInfo::name);
    ASSERT_NE(info, losses.end()) << name;
    v1::NamedLoss named;
    named.set_name(name);
    const auto typed = ResolveNamedLoss(named);
    ASSERT_THAT(typed, IsOk());
    auto decoded = DecodeLoss(*typed);
    ASSERT_THAT(decoded, IsOk());
    AllLosses::Resolve(Semantics::kStrict, &decoded->params);
    const v1::Loss in_force = EncodeLoss(decoded->params, true);
    const auto& message = in_force.GetReflection()->GetMessage(
        in_force, Catalog::Get().Find(name));
    for (const v1::OptionInfo& option : info->options()) {
      EXPECT_EQ(TextOf(message, option), option.default_value())
          << name << '.' << option.name();
    }
  }
}

absl::StatusOr<v1::Loss> Resolve(const std::string& text) {
  v1::NamedLoss named;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &named));
  return ResolveNamedLoss(named);
}

std::string Field(const std::string& name, const std::string& value) {
  return absl::StrCat("fields { key: '", name, "' value { ", value, " } } ");
}

std::string Option(const std::string& name, const std::string& value) {
  return absl::StrCat("options { ", Field(name, value), "}");
}

TEST(NamedLossTest, BecomesTheTypedMessage) {
  const auto huber =
      Resolve("name: 'huber'" + Option("delta", "number_value: 0.25"));
  ASSERT_THAT(huber, IsOk());
  EXPECT_EQ(huber->huber().delta(), 0.25);
  const auto scce = Resolve("name: 'scce' options { " +
                            Field("prediction_kind", "string_value: 'LOGITS'") +
                            Field("ignore_index", "number_value: -100") + "}");
  ASSERT_THAT(scce, IsOk());
  EXPECT_EQ(scce->sparse_categorical_cross_entropy().prediction_kind(),
            v1::PREDICTION_KIND_LOGITS);
  EXPECT_EQ(scce->sparse_categorical_cross_entropy().ignore_index(), -100);
}

TEST(NamedLossTest, SwitchesAreTrueAndFalse) {
  for (const bool value : {true, false}) {
    const auto kld =
        Resolve("name: 'kld'" +
                Option("temperature_squared",
                       absl::StrCat("bool_value: ", value ? "true" : "false")));
    ASSERT_THAT(kld, IsOk());
    EXPECT_TRUE(kld->kullback_leibler_divergence().has_temperature_squared());
    EXPECT_EQ(kld->kullback_leibler_divergence().temperature_squared(), value);
  }
  const auto number =
      Resolve("name: 'kld'" + Option("temperature_squared", "number_value: 1"));
  EXPECT_THAT(number, Violates("loss.named.options.temperature_squared"));
  EXPECT_THAT(number, StatusIs(absl::StatusCode::kInvalidArgument,
                               HasSubstr("got 1, allowed: true or false")));
}

TEST(NamedLossTest, LettersMayHaveAnyCase) {
  const auto bce = Resolve("name: 'BCE'" +
                           Option("prediction_kind", "string_value: 'Logits'"));
  ASSERT_THAT(bce, IsOk());
  EXPECT_EQ(bce->binary_cross_entropy().prediction_kind(),
            v1::PREDICTION_KIND_LOGITS);
}

TEST(NamedLossTest, UnknownNamesListThoseThatExist) {
  const auto loss = Resolve("name: 'hubber'");
  EXPECT_THAT(loss, Violates("loss.named.name"));
  EXPECT_THAT(loss, StatusIs(absl::StatusCode::kInvalidArgument,
                             HasSubstr("huber, bce, hinge")));
}

TEST(NamedLossTest, UnknownOptionsListThoseThatExist) {
  const auto loss =
      Resolve("name: 'scce'" + Option("delta", "number_value: 1"));
  EXPECT_THAT(loss, Violates("loss.named.options.delta"));
  EXPECT_THAT(loss, StatusIs(absl::StatusCode::kInvalidArgument,
                             HasSubstr("prediction_kind, ignore_index, "
                                       "label_smoothing, z_loss")));
  EXPECT_THAT(
      Resolve("name: 'mse'" + Option("delta", "number_value: 1")),
      StatusIs(absl::StatusCode::kInvalidArgument, HasSubstr("no options")));
}

TEST(NamedLossTest, ValuesOfTheWrongType) {
  EXPECT_THAT(Resolve("name: 'huber'" + Option("delta", "string_value: '1'")),
              StatusIs(absl::StatusCode::kInvalidArgument,
                       HasSubstr("got '1', allowed: a number")));
  EXPECT_THAT(
      Resolve("name: 'bce'" + Option("prediction_kind", "number_value: 1")),
      StatusIs(absl::StatusCode::kInvalidArgument,
               HasSubstr("allowed: LOGITS, PROBABILITIES")));
  for (const char* name : {"UNSPECIFIED", "unspecified", "LOGIT", ""}) {
    EXPECT_THAT(Resolve("name: 'hinge'" +
                        Option("label_encoding",
                               absl::StrCat("string_value: '", name, "'"))),
                StatusIs(absl::StatusCode::kInvalidArgument,
                         HasSubstr("allowed: PLUS_MINUS_ONE, ZERO_ONE")));
  }
  EXPECT_THAT(
      Resolve("name: 'scce'" + Option("ignore_index", "number_value: 0.5")),
      Violates("loss.named.options.ignore_index"));
  EXPECT_THAT(
      Resolve("name: 'scce'" + Option("ignore_index", "number_value: 1e300")),
      Violates("loss.named.options.ignore_index"));
}

}  // namespace
}  // namespace lossd
