// Problems of the tests as messages and calls of the API, and its replies as
// answers of the library.

#ifndef LOSSD_TESTS_INTEGRATION_MESSAGES_H_
#define LOSSD_TESTS_INTEGRATION_MESSAGES_H_

#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>

#include <cstdint>
#include <functional>
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

// A call as an item of a request: its tensors, options, wanted outputs, and
// reduction and semantics.
v1::LossItem ItemOf(const TestCall& call, Storage storage = Storage::kData);
v1::LossItem ItemOf(const Problem& problem, const Form& form = {},
                    Storage storage = Storage::kData);

// The answer in a result, whichever way its tensors are written; or its
// status, without violations.
absl::StatusOr<Answer> AnswerOf(const v1::LossResult& result);

// The loss with every option that is in force for the problem, as replies have
// it.
v1::Loss LossInForce(const Problem& problem);

// What Solve does, through the client.
using ClientCall = std::function<absl::StatusOr<ClientResult>(
    const Client&, const LossCall&, const CallOptions&)>;
absl::StatusOr<Answer> Send(const Client& client, const Problem& problem,
                            const Form& form = {},
                            const ClientCall& compute = &Client::Compute);

// Whether all numbers of both answers have the same bits, and both have the
// same tensors.
testing::AssertionResult SameAnswers(absl::StatusOr<Answer> a,
                                     absl::StatusOr<Answer> b);

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

// Both were refused with the same code, or SameAnswers.
testing::AssertionResult SameOutcomes(const absl::StatusOr<Answer>& a,
                                      const absl::StatusOr<Answer>& b);

// The message on the wire, the same for equal messages: maps are sorted.
std::string BytesOf(const google::protobuf::Message& message);

// Unsets the option that gives way to an extra input of this name, if there is
// one: pos_weight to pos_weight, quantile to quantiles.
void ClearReplacedOption(const std::string& input, v1::Loss* loss);

// Shape of what the problem has one of for each row.
std::vector<int64_t> RowShapeOf(const Problem& problem);

// The members of Loss.kind, NamedLoss apart.
std::vector<const google::protobuf::FieldDescriptor*> LossMembers();

// The message of a loss that is set: its options.
google::protobuf::Message* MutableOptions(v1::Loss* loss);

// "PREDICTION_KIND_" of PREDICTION_KIND_LOGITS.
std::string EnumPrefix(const google::protobuf::EnumDescriptor& type);

}  // namespace lossd::test

#endif  // LOSSD_TESTS_INTEGRATION_MESSAGES_H_
