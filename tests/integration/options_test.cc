// The defaults and ranges that the proto promises are those of the library:
// every option of every loss, by reflection.

#include <cmath>
#include <cstdint>
#include <limits>
#include <set>
#include <string>
#include <variant>
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

// What an option may be given, of any type.
using Value = std::variant<double, int64_t, bool, int>;

class OptionTest : public testing::TestWithParam<Option> {
 protected:
  static void SetUpTestSuite() { server_ = new RunningServer; }
  static void TearDownTestSuite() { delete server_; }

  static const FieldDescriptor& field() { return *GetParam().field; }
  static const v1::OptionInfo& info() { return GetParam().info(); }
  static bool IsDouble() {
    return field().cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE;
  }
  static bool IsInteger() {
    return field().cpp_type() == FieldDescriptor::CPPTYPE_INT64;
  }
  static bool IsEnum() { return field().enum_type() != nullptr; }

  // Every case of the loss, without the extra inputs that replace options.
  static std::vector<v1::LossItem> Items() {
    std::vector<v1::LossItem> items;
    for (const LossCase& loss_case : LossCases()) {
      if (AllLosses::Find(loss_case.params).name != GetParam().loss) continue;
      Problem problem = Sample(loss_case, {20, 3}, Dtype::kFloat64);
      problem.class_weights.clear();
      problem.pos_weight.clear();
      problem.column.clear();
      items.push_back(ItemOf(problem));
    }
    return items;
  }

  static v1::LossItem Unset(v1::LossItem item) {
    Message* options = MutableOptions(item.mutable_loss());
    options->GetReflection()->ClearField(options, &field());
    return item;
  }
  static v1::LossItem With(v1::LossItem item, const Value& value) {
    Set(field(), value, MutableOptions(item.mutable_loss()));
    KeepInOrder(value, MutableOptions(item.mutable_loss()));
    return item;
  }
  static void Set(const FieldDescriptor& option, const Value& value,
                  Message* options) {
    const google::protobuf::Reflection& reflection = *options->GetReflection();
    if (const auto* number = std::get_if<double>(&value)) {
      return reflection.SetDouble(options, &option, *number);
    }
    if (const auto* integer = std::get_if<int64_t>(&value)) {
      return reflection.SetInt64(options, &option, *integer);
    }
    if (const auto* on = std::get_if<bool>(&value)) {
      return reflection.SetBool(options, &option, *on);
    }
    reflection.SetEnumValue(options, &option, std::get<int>(value));
  }

  // The other one of clip_low and clip_high moves with it.
  static void KeepInOrder(const Value& value, Message* options) {
    const auto* number = std::get_if<double>(&value);
    const bool low = field().name() == "clip_low";
    if (number == nullptr || (!low && field().name() != "clip_high")) return;
    const FieldDescriptor& other = *options->GetDescriptor()->FindFieldByName(
        low ? "clip_high" : "clip_low");
    const double beside = options->GetReflection()->GetDouble(*options, &other);
    if (low ? *number > beside : *number < beside) {
      Set(other, low ? *number : 0.0, options);
    }
  }

  // As the option's type has it.
  static v1::LossItem WithDefault(const v1::LossItem& item) {
    const std::string& text = info().default_value();
    if (IsEnum()) {
      const EnumValueDescriptor* value = field().enum_type()->FindValueByName(
          EnumPrefix(*field().enum_type()) + text);
      EXPECT_NE(value, nullptr) << text;
      return value == nullptr ? item : With(item, value->number());
    }
    if (IsDouble()) {
      double number = kNan;
      EXPECT_TRUE(absl::SimpleAtod(text, &number)) << text;
      return With(item, number);
    }
    if (IsInteger()) {
      int64_t number = 0;
      EXPECT_TRUE(absl::SimpleAtoi(text, &number)) << text;
      return With(item, number);
    }
    EXPECT_TRUE(text == "true" || text == "false") << text;
    return With(item, text == "true");
  }

  // Values to try: some are in the range of any option.
  static std::vector<Value> Candidates() {
    if (IsDouble()) return {0.4, 1.5, 3.0, 100.0};
    // Of the labels of the cases, 0 is one.
    if (IsInteger()) return {int64_t{0}, int64_t{1}, int64_t{2}};
    if (!IsEnum()) return {false, true};
    std::vector<Value> values;
    for (int i = 1; i < field().enum_type()->value_count(); ++i) {
      values.emplace_back(field().enum_type()->value(i)->number());
    }
    return values;
  }

  // The item as it is and with each other number or switch changed: smoothing
  // that a switch is about, a temperature whose square may be a factor.
  static std::vector<v1::LossItem> Surroundings(const v1::LossItem& item) {
    std::vector<v1::LossItem> items = {item};
    const auto& type = *field().containing_type();
    for (int i = 0; i < type.field_count(); ++i) {
      const FieldDescriptor& other = *type.field(i);
      if (&other == &field()) continue;
      items.push_back(item);
      Message* options = MutableOptions(items.back().mutable_loss());
      if (other.cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
        Set(other, 0.4, options);
      } else if (other.cpp_type() == FieldDescriptor::CPPTYPE_BOOL) {
        Set(other, true, options);
      } else {
        items.pop_back();
      }
    }
    if (item.loss().has_categorical_cross_entropy()) {
      items.push_back(item);
      *items.back().mutable_targets() =
          TensorOf(v1::DTYPE_FLOAT64, std::vector<double>(40, 0.25), {20, 2});
      std::vector<int64_t> indices(40);
      for (size_t i = 0; i < 40; ++i) indices[i] = static_cast<int64_t>(i % 2);
      (*items.back().mutable_extra_inputs())["target_indices"] =
          TensorOf(v1::DTYPE_INT64, indices, {20, 2});
    }
    return items;
  }

  // Whether two of the values, or one and none, give different losses.
  static bool Matters(const v1::LossItem& item) {
    std::set<double> losses;
    const auto compute = [&losses](const v1::LossItem& changed) {
      const v1::LossResult result = server_->Compute(changed);
      if (result.status().code() == 0 && std::isfinite(result.loss())) {
        losses.insert(result.loss());
      }
      // Where a value decides whether there are targets at all.
      if (result.status().violations_size() > 0 &&
          result.status().violations(0).field() == "targets") {
        losses.insert(kInfinity);
      }
    };
    compute(Unset(item));
    for (const Value& value : Candidates()) compute(With(item, value));
    return losses.size() > 1;
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
  static bool Accepted(const Value& value) {
    for (const v1::LossItem& item : Items()) {
      if (!Refused(With(item, value))) return true;
    }
    return false;
  }
  static bool RefusedByAll(const Value& value) {
    for (const v1::LossItem& item : Items()) {
      if (!Refused(With(item, value))) return false;
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
    EXPECT_EQ(BytesOf(unset), BytesOf(server_->Compute(WithDefault(item))));
  }
}

// In one of the semantics: epsilon is what KERAS clips to.
TEST_P(OptionTest, ItHasAnEffect) {
  for (const v1::Semantics semantics :
       {v1::SEMANTICS_STRICT, v1::SEMANTICS_KERAS, v1::SEMANTICS_PYTORCH}) {
    for (const v1::LossItem& item : Items()) {
      for (v1::LossItem& changed : Surroundings(item)) {
        changed.set_semantics(semantics);
        if (Matters(changed)) return;
      }
    }
  }
  ADD_FAILURE() << "no value changes any loss";
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
      EXPECT_EQ(Refused(With(item, number)), !fine) << number;
      if (server_->Compute(With(item, number)).status().code() == 0) {
        accepted.insert(name);
      }
    }
  }
  accepted.erase("UNSPECIFIED");
  EXPECT_EQ(accepted, listed);
}

TEST_P(OptionTest, IntegersHaveTheRangeOfTheProto) {
  if (!IsInteger()) return;
  constexpr int64_t kSmallest = std::numeric_limits<int64_t>::min();
  constexpr int64_t kLargest = std::numeric_limits<int64_t>::max();
  if (info().has_minimum()) {
    const auto minimum = static_cast<int64_t>(info().minimum());
    EXPECT_TRUE(Accepted(minimum));
    EXPECT_TRUE(RefusedByAll(minimum - 1));
    EXPECT_TRUE(RefusedByAll(kSmallest));
  } else {
    EXPECT_TRUE(Accepted(kSmallest));
    EXPECT_TRUE(Accepted(int64_t{-1}));
  }
  if (info().has_maximum()) {
    const auto maximum = static_cast<int64_t>(info().maximum());
    EXPECT_TRUE(Accepted(maximum));
    EXPECT_TRUE(RefusedByAll(maximum + 1));
    EXPECT_TRUE(RefusedByAll(kLargest));
  } else {
    EXPECT_TRUE(Accepted(kLargest));
  }
}

TEST_P(OptionTest, SwitchesMayBeBoth) {
  if (field().cpp_type() != FieldDescriptor::CPPTYPE_BOOL) return;
  for (const bool value : {true, false}) EXPECT_TRUE(Accepted(value));
}

INSTANTIATE_TEST_SUITE_P(Options, OptionTest, testing::ValuesIn(AllOptions()),
                         NameOfOption);

}  // namespace
}  // namespace lossd::test
