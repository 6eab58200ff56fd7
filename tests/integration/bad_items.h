// Items that are refused, and good ones to spoil.

#ifndef LOSSD_TESTS_INTEGRATION_BAD_ITEMS_H_
#define LOSSD_TESTS_INTEGRATION_BAD_ITEMS_H_

#include <grpcpp/support/status.h>

#include <cstdint>
#include <functional>
#include <optional>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "lossd/v1/loss_service.pb.h"

namespace lossd::test {

// An item, and what is to be said about it.
struct BadItem {
  // Letters, digits and underscores.
  std::string name;
  v1::LossItem item;
  std::string field;
  std::optional<int64_t> index;
  std::string got;
  // Part of it.
  std::string allowed;
  grpc::StatusCode code = grpc::INVALID_ARGUMENT;
};

void PrintTo(const BadItem& bad, std::ostream* out);

// Adds rows to a table of bad items.
class BadItemTable {
 public:
  // `spoil` makes a good item bad. `field` may end with the index of an
  // element: "targets.data[3]".
  void Add(std::string name, v1::LossItem item,
           const std::function<void(v1::LossItem&)>& spoil,
           const std::string& field, std::string got, std::string allowed,
           grpc::StatusCode code = grpc::INVALID_ARGUMENT);

  std::vector<BadItem> rows() && { return std::move(rows_); }

 private:
  std::vector<BadItem> rows_;
};

// Tensors that are not given, cannot be read or do not fit together.
std::vector<BadItem> BadTensors();
// Numbers written out.
std::vector<BadItem> BadLists();
// Elements of predictions and targets.
std::vector<BadItem> BadElements();
// Weights, masks, normalizers, extra inputs, wishes.
std::vector<BadItem> BadOptionalInputs();
// Losses and their options, typed and by name.
std::vector<BadItem> BadLosses();
// What exists in the proto and not in this version.
std::vector<BadItem> ItemsNotServed();

// Good items of two rows and three columns, float64, gradient wanted, logits
// where there are kinds of predictions.
v1::LossItem GoodMse();
v1::LossItem GoodHuber();
v1::LossItem GoodMsle();
v1::LossItem GoodHinge();
v1::LossItem GoodBce();
v1::LossItem GoodCce();
v1::LossItem GoodScce();
v1::LossItem GoodKld();
// The tensors of GoodMse, and a loss by name without options.
v1::LossItem Named(const std::string& name);

// An option of an item of Named.
google::protobuf::Value& OptionOf(v1::LossItem& item, const std::string& name);

v1::Tensor Float64(const std::vector<double>& numbers,
                   const std::vector<int64_t>& shape);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_INTEGRATION_BAD_ITEMS_H_
