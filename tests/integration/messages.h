// Problems of the tests as messages and calls of the API, and its replies as
// answers of the library.

#ifndef LOSSD_TESTS_INTEGRATION_MESSAGES_H_
#define LOSSD_TESTS_INTEGRATION_MESSAGES_H_

#include <google/protobuf/descriptor.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "absl/status/statusor.h"
#include "client/client.h"
#include "gtest/gtest.h"
#include "lossd/v1/loss_service.pb.h"
#include "tests/support/problem.h"

namespace lossd::test {

// How the tensors of an item are written.
enum class Storage { kData, kValues };

// A call as an item of a request: its tensors, options and wanted outputs.
v1::LossItem ItemOf(const TestCall& call, Storage storage = Storage::kData);
v1::LossItem ItemOf(const Problem& problem, const Form& form = {},
                    Storage storage = Storage::kData);

// The answer in a result, whichever way its tensors are written; or its
// status, without violations.
absl::StatusOr<Answer> AnswerOf(const v1::LossResult& result);

// What Solve does, through the client.
absl::StatusOr<Answer> Send(const Client& client, const Problem& problem,
                            const Form& form = {});

// Whether all numbers of both answers have the same bits, and both have the
// same tensors.
testing::AssertionResult SameAnswers(const absl::StatusOr<Answer>& a,
                                     const absl::StatusOr<Answer>& b);

// The loss by name, with the options of `typed` by theirs.
v1::NamedLoss NamedLossOf(const std::string& name, const v1::Loss& typed);

// A dense tensor of these numbers.
template <class T>
v1::Tensor TensorOf(v1::Dtype dtype, const std::vector<T>& numbers,
                    const std::vector<int64_t>& shape) {
  v1::Tensor tensor;
  tensor.set_dtype(dtype);
  tensor.mutable_shape()->Add(shape.begin(), shape.end());
  tensor.set_data(numbers.data(), numbers.size() * sizeof(T));
  return tensor;
}

// The members of Loss.kind, NamedLoss apart.
std::vector<const google::protobuf::FieldDescriptor*> LossMembers();

// The message of a loss that is set: its options.
google::protobuf::Message* MutableOptions(v1::Loss* loss);

// "PREDICTION_KIND_" of PREDICTION_KIND_LOGITS.
std::string EnumPrefix(const google::protobuf::EnumDescriptor& type);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_INTEGRATION_MESSAGES_H_
