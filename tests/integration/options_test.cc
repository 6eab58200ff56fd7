// The defaults and ranges that the proto promises are those of the library:
// every option of every loss, by reflection.

#include <cmath>
#include <cstdint>
#include <limits>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/messages.h"
#include "tests/integration/running_server.h"
#include "tests/support/loss_cases.h"

namespace lossd::test {
namespace {

using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

struct Option {
  const FieldDescriptor* field;
  // Of the loss that has the option.
  std::string loss;

  const v1::OptionInfo& info() const {
    return field->options().GetExtension(v1::option);
  }
  std::string path() const {
    return absl::StrCat("loss.", loss, ".", field->name());
  }
};

std::vector<Option> AllOptions() {
  std::vector<Option> options;
  for (const FieldDescriptor* member : LossMembers()) {
    for (int i = 0; i < member->message_type()->field_count(); ++i) {
      options.push_back({member->message_type()->field(i), member->name()});
    }
  }
  return options;
}

void PrintTo(const Option& option, std::ostream* out) { *out << option.path(); }

std::string NameOfOption(const testing::TestParamInfo<Option>& info) {
  return info.param.loss + "_" + info.param.field->name();
}

class OptionTest : public testing::TestWithParam<Option> {
 protected:
  static void SetUpTestSuite() { server_ = new RunningServer; }
  static void TearDownTestSuite() { delete server_; }

  static const FieldDescriptor& field() { return *GetParam().field; }
  static const v1::OptionInfo& info() { return GetParam().info(); }
  static bool IsDouble() {
    return field().cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
  }
  static bool IsEnum() { return field().enum_type() != nullptr; }

  // Every case of the loss, without extra inputs, which replace options.
  static std::vector<v1::LossItem> Items() {
    std::vector<v1::LossItem> items;
    for (const LossCase& loss_case : LossCases()) {
      if (AllLosses::Find(loss_case.params).name != GetParam().loss) continue;
      items.push_back(ItemOf(Sample(loss_case, {20, 3}, Dtype::kFloat64)));
      items.back().clear_extra_inputs();
    }
    return items;
  }

  static v1::LossItem Unset(v1::LossItem item) {
    Message* options = MutableOptions(item.mutable_loss());
    options->GetReflection()->ClearField(options, &field());
    return item;
  }
  static v1::LossItem With(v1::LossItem item, double number) {
    Message* options = MutableOptions(item.mutable_loss());
    options->GetReflection()->SetDouble(options, &field(), number);
    return item;
  }
  static v1::LossItem WithEnum(v1::LossItem item, int number) {
    Message* options = MutableOptions(item.mutable_loss());
    options->GetReflection()->SetEnumValue(options, &field(), number);
    return item;
  }
  static v1::LossItem WithInteger(v1::LossItem item, int64_t number) {
    Message* options = MutableOptions(item.mutable_loss());
    options->GetReflection()->SetInt64(options, &field(), number);
    return item;
  }

  // As the option's type has it.
  static v1::LossItem WithDefault(const v1::LossItem& item) {
    if (IsEnum()) {
      const EnumValueDescriptor* value = field().enum_type()->FindValueByName(
          EnumPrefix(*field().enum_type()) + info().default_value());
      EXPECT_NE(value, nullptr) << info().default_value();
      return value == nullptr ? item : WithEnum(item, value->number());
    }
    EXPECT_TRUE(IsDouble()) << "no test reads a default of this type";
    double number = kNan;
    EXPECT_TRUE(absl::SimpleAtod(info().default_value(), &number));
    return With(item, number);
  }

  // Whether the option is what the item is refused for, if it is refused.
  static bool Refused(const v1::LossItem& item) {
    const v1::ItemStatus status = server_->Compute(item).status();
    return status.code() == grpc::INVALID_ARGUMENT &&
           status.violations_size() == 1 &&
           status.violations(0).field() == GetParam().path();
  }
  // The cases are good but for the option; some of them accept less than the
  // option's range (z_loss needs logits), but not all.
  static bool Accepted(double number) {
    for (const v1::LossItem& item : Items()) {
      if (server_->Compute(With(item, number)).status().code() == 0) {
        return true;
      }
    }
    return false;
  }
  static bool RefusedByAll(double number) {
    for (const v1::LossItem& item : Items()) {
      if (!Refused(With(item, number))) return false;
    }
    return true;
  }

  static inline const RunningServer* server_;
};

TEST_P(OptionTest, UnsetIsTheDefault) {
  for (const v1::LossItem& item : Items()) {
    if (info().default_value().empty()) {
      EXPECT_EQ(Refused(Unset(item)), !info().optional());
      continue;
    }
    const v1::LossResult unset = server_->Compute(Unset(item));
    EXPECT_FALSE(Refused(Unset(item)));
    EXPECT_EQ(unset.SerializeAsString(),
              server_->Compute(WithDefault(item)).SerializeAsString());
  }
}

TEST_P(OptionTest, ItHasAnEffect) {
  bool differs = false;
  for (const v1::LossItem& item : Items()) {
    v1::LossResult unset = server_->Compute(Unset(item));
    v1::LossResult set;
    if (IsEnum()) {
      const auto& type = *field().enum_type();
      for (int i = 1; i < type.value_count() && !differs; ++i) {
        set = server_->Compute(WithEnum(item, type.value(i)->number()));
        differs = set.loss() != unset.loss();
      }
      continue;
    }
    // Of the labels of the cases, 0 is one.
    set = server_->Compute(IsDouble() ? With(item, 0.4) : WithInteger(item, 0));
    differs |= set.status().code() == 0 && set.loss() != unset.loss();
  }
  EXPECT_TRUE(differs);
}

TEST_P(OptionTest, RangeIsThatOfTheProto) {
  if (!IsDouble()) return;
  for (const double number : {kNan, kInfinity, -kInfinity}) {
    EXPECT_TRUE(RefusedByAll(number)) << number;
  }
  if (info().has_minimum()) {
    const double minimum = info().minimum();
    EXPECT_EQ(Accepted(minimum), !info().exclusive_minimum());
    EXPECT_EQ(RefusedByAll(minimum), info().exclusive_minimum());
    EXPECT_TRUE(Accepted(std::nextafter(minimum, kInfinity)));
    EXPECT_TRUE(RefusedByAll(std::nextafter(minimum, -kInfinity)));
  } else {
    EXPECT_TRUE(Accepted(-1e30));
  }
  if (info().has_maximum()) {
    const double maximum = info().maximum();
    EXPECT_EQ(Accepted(maximum), !info().exclusive_maximum());
    EXPECT_EQ(RefusedByAll(maximum), info().exclusive_maximum());
    EXPECT_TRUE(Accepted(std::nextafter(maximum, -kInfinity)));
    EXPECT_TRUE(RefusedByAll(std::nextafter(maximum, kInfinity)));
  } else {
    EXPECT_TRUE(Accepted(1e30));
  }
}

TEST_P(OptionTest, EnumsTakeTheValuesThatAreListed) {
  if (!IsEnum()) return;
  const auto& type = *field().enum_type();
  const std::set<std::string> listed(info().allowed_values().begin(),
                                     info().allowed_values().end());
  std::set<std::string> accepted;
  std::vector<int> numbers = {-1, 0, 99};
  for (int i = 0; i < type.value_count(); ++i) {
    numbers.push_back(type.value(i)->number());
  }
  for (const int number : numbers) {
    const EnumValueDescriptor* value = type.FindValueByNumber(number);
    const std::string name =
        value == nullptr ? "" : value->name().substr(EnumPrefix(type).size());
    const bool fine = listed.count(name) == 1 ||
                      (number == 0 && !info().default_value().empty());
    for (const v1::LossItem& item : Items()) {
      EXPECT_EQ(Refused(WithEnum(item, number)), !fine) << number;
      if (server_->Compute(WithEnum(item, number)).status().code() == 0) {
        accepted.insert(name);
      }
    }
  }
  accepted.erase("UNSPECIFIED");
  EXPECT_EQ(accepted, listed);
}

TEST_P(OptionTest, IntegersMayBeAny) {
  if (IsEnum() || IsDouble()) return;
  for (const int64_t number : {std::numeric_limits<int64_t>::min(), int64_t{-1},
                               std::numeric_limits<int64_t>::max()}) {
    for (const v1::LossItem& item : Items()) {
      EXPECT_FALSE(Refused(WithInteger(item, number))) << number;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Options, OptionTest, testing::ValuesIn(AllOptions()),
                         NameOfOption);

}  // namespace
}  // namespace lossd::test
