#include "tests/integration/bad_items.h"

#include "tests/integration/messages.h"

namespace lossd::test {

void PrintTo(const BadItem& bad, std::ostream* out) { *out << bad.name; }

void BadItemTable::Add(std::string name, v1::LossItem item,
                       const std::function<void(v1::LossItem&)>& spoil,
                       const std::string& field, std::string got,
                       std::string allowed, grpc::StatusCode code) {
  spoil(item);
  BadItem row{.name = std::move(name),
              .item = std::move(item),
              .field = field.substr(0, field.find('[')),
              .index = std::nullopt,
              .got = std::move(got),
              .allowed = std::move(allowed),
              .code = code};
  if (row.field.size() < field.size()) {
    row.index = std::stoll(field.substr(row.field.size() + 1));
  }
  rows_.push_back(std::move(row));
}

v1::Tensor Float64(const std::vector<double>& numbers,
                   const std::vector<int64_t>& shape) {
  return TensorOf(v1::DTYPE_FLOAT64, numbers, shape);
}

v1::LossItem GoodMse() {
  v1::LossItem item;
  item.mutable_loss()->mutable_mean_squared_error();
  *item.mutable_predictions() = Float64({1, 2, 3, 4, 5, 6}, {2, 3});
  *item.mutable_targets() = Float64({1, 0, 1, 0, 1, 0}, {2, 3});
  item.mutable_outputs()->set_gradient(true);
  return item;
}

v1::LossItem GoodHuber() {
  v1::LossItem item = GoodMse();
  item.mutable_loss()->mutable_huber();
  return item;
}

v1::LossItem GoodMsle() {
  v1::LossItem item = GoodMse();
  item.mutable_loss()->mutable_mean_squared_logarithmic_error();
  return item;
}

v1::LossItem GoodHinge() {
  v1::LossItem item = GoodMse();
  item.mutable_loss()->mutable_hinge();
  *item.mutable_targets() = Float64({1, -1, 1, -1, 1, -1}, {2, 3});
  return item;
}

v1::LossItem GoodBce() {
  v1::LossItem item = GoodMse();
  item.mutable_loss()->mutable_binary_cross_entropy()->set_prediction_kind(
      v1::PREDICTION_KIND_LOGITS);
  return item;
}

v1::LossItem GoodCce() {
  v1::LossItem item = GoodMse();
  item.mutable_loss()->mutable_categorical_cross_entropy()->set_prediction_kind(
      v1::PREDICTION_KIND_LOGITS);
  return item;
}

v1::LossItem GoodScce() {
  v1::LossItem item = GoodMse();
  item.mutable_loss()
      ->mutable_sparse_categorical_cross_entropy()
      ->set_prediction_kind(v1::PREDICTION_KIND_LOGITS);
  *item.mutable_targets() =
      TensorOf(v1::DTYPE_INT64, std::vector<int64_t>{2, 0}, {2});
  return item;
}

v1::LossItem GoodKld() {
  v1::LossItem item = GoodMse();
  item.mutable_loss()
      ->mutable_kullback_leibler_divergence()
      ->set_prediction_kind(v1::PREDICTION_KIND_LOGITS);
  return item;
}

v1::LossItem Named(const std::string& name) {
  v1::LossItem item = GoodMse();
  item.mutable_loss()->mutable_named()->set_name(name);
  return item;
}

google::protobuf::Value& OptionOf(v1::LossItem& item, const std::string& name) {
  return (*item.mutable_loss()
               ->mutable_named()
               ->mutable_options()
               ->mutable_fields())[name];
}
}  // namespace lossd::test
