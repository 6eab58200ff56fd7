// Client::Compute and ComputeBatch: what is sent, and what arrives where.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <iterator>
#include <numeric>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "client/client.h"
#include "proto/wire/announced_bytes.h"
#include "tests/client/fake_server.h"

namespace lossd {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class ComputeTest : public ::testing::Test {
 protected:
  Client Connected() {
    auto client = Client::Connect(server_.target());
    EXPECT_TRUE(client.ok()) << client.status();
    return *client;
  }

  // Six predictions in three rows.
  LossCall Call() const {
    LossCall call;
    call.loss.mutable_huber()->set_delta(0.5);
    call.predictions = ViewOf(predictions_, {3, 2});
    call.targets = ViewOf(targets_, {3, 2});
    return call;
  }

  test::FakeServer server_;
  const std::vector<float> predictions_ = {1, 2, 3, 4, 5, 6};
  const std::vector<double> targets_ = {6, 5, 4, 3, 2, 1};
};

template <typename T>
std::string Bytes(const std::vector<T>& values) {
  return {reinterpret_cast<const char*>(values.data()),
          values.size() * sizeof(T)};
}

void ExpectViolation(const absl::Status& status, const std::string& field) {
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(status.message(), HasSubstr(field));
  const auto violations = ViolationsOf(status);
  ASSERT_EQ(violations.size(), 1u) << status;
  EXPECT_EQ(violations[0].field(), field);
  EXPECT_NE(violations[0].got(), "");
  EXPECT_NE(violations[0].allowed(), "");
}

TEST_F(ComputeTest, EveryFieldOfTheCallIsSent) {
  const std::vector<float> weights = {1, 2, 3};
  const std::vector<uint8_t> mask = {1, 0, 1};
  const std::vector<double> classes = {0.5, 2};
  const std::vector<double> factor = {3};
  std::vector<double> gradient(6);
  std::vector<double> row_losses(3);
  LossCall call = Call();
  call.sample_weights = ViewOf(weights);
  call.mask = ViewOf(mask);
  call.upstream_gradient = ViewOf(factor, {});
  call.extra_inputs["class_weights"] = ViewOf(classes);
  call.reduction = v1::REDUCTION_MEAN;
  call.normalizer = 7;
  call.semantics = v1::SEMANTICS_PYTORCH;
  call.diagnostics = true;
  call.gradient = MutableViewOf(gradient);
  call.row_losses = row_losses;
  ASSERT_TRUE(Connected().Compute(call).ok());

  ASSERT_EQ(server_.requests().size(), 1u);
  const v1::ComputeRequest request = server_.requests()[0];
  EXPECT_EQ(request.numerics_version(), "fake-1");
  ASSERT_EQ(request.items_size(), 1);
  const v1::LossItem& item = request.items(0);
  EXPECT_EQ(item.loss().huber().delta(), 0.5);
  EXPECT_EQ(item.predictions().dtype(), v1::DTYPE_FLOAT32);
  EXPECT_THAT(item.predictions().shape(), ElementsAre(3, 2));
  EXPECT_EQ(item.predictions().data(), Bytes(predictions_));
  EXPECT_EQ(item.targets().dtype(), v1::DTYPE_FLOAT64);
  EXPECT_EQ(item.targets().data(), Bytes(targets_));
  EXPECT_EQ(item.sample_weights().data(), Bytes(weights));
  EXPECT_EQ(item.mask().dtype(), v1::DTYPE_BOOL);
  EXPECT_EQ(item.mask().data(), Bytes(mask));
  EXPECT_THAT(item.upstream_gradient().shape(), IsEmpty());
  EXPECT_EQ(item.upstream_gradient().data(), Bytes(factor));
  EXPECT_EQ(item.extra_inputs().at("class_weights").data(), Bytes(classes));
  EXPECT_EQ(item.reduction(), v1::REDUCTION_MEAN);
  EXPECT_EQ(item.normalizer(), 7);
  EXPECT_EQ(item.semantics(), v1::SEMANTICS_PYTORCH);
  EXPECT_TRUE(item.outputs().gradient());
  EXPECT_EQ(item.outputs().gradient_dtype(), v1::DTYPE_FLOAT64);
  EXPECT_TRUE(item.outputs().row_losses());
  EXPECT_TRUE(item.outputs().diagnostics());
}

TEST_F(ComputeTest, WhatIsUnsetIsNotSent) {
  ASSERT_TRUE(Connected().Compute({}).ok());
  v1::LossItem item = server_.requests()[0].items(0);
  item.clear_outputs();
  EXPECT_EQ(item.ByteSizeLong(), 0u) << item.DebugString();
}

TEST_F(ComputeTest, ResultsArriveInTheBuffersOfTheCaller) {
  std::vector<double> row_losses(3, -1);
  std::vector<float> floats(6, -1);
  LossCall call = Call();
  call.gradient = MutableViewOf(floats);
  call.row_losses = row_losses;
  const Client client = Connected();
  ASSERT_TRUE(client.Compute(call).ok());
  EXPECT_THAT(floats, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(row_losses, ElementsAre(0, 10, 20));

  std::vector<double> doubles(6, -1);
  call.gradient = MutableViewOf(doubles);
  ASSERT_TRUE(client.Compute(call).ok());
  EXPECT_THAT(doubles, ElementsAre(0, 1, 2, 3, 4, 5));
}

// gRPC delivers and takes these in many pieces.
TEST_F(ComputeTest, LargeTensorsTravelWhole) {
  server_.info.mutable_limits()->set_max_message_bytes(64 << 20);
  std::vector<float> predictions(1000003);
  std::iota(predictions.begin(), predictions.end(), 0.5F);
  std::vector<double> gradient(predictions.size(), -1);
  std::vector<double> row_losses(predictions.size(), -1);
  LossCall call;
  call.predictions = ViewOf(predictions);
  call.gradient = MutableViewOf(gradient);
  call.row_losses = row_losses;
  ASSERT_TRUE(Connected().Compute(call).ok());
  EXPECT_EQ(server_.requests()[0].items(0).predictions().data(),
            Bytes(predictions));
  std::vector<double> expected(predictions.size());
  std::iota(expected.begin(), expected.end(), 0);
  EXPECT_EQ(gradient, expected);
  for (double& value : expected) value *= 10;
  EXPECT_EQ(row_losses, expected);
}

TEST_F(ComputeTest, TheSizesOfRequestAndReplyAreAnnounced) {
  std::vector<wire::AnnouncedBytes> announced;
  server_.before_compute = [&announced](grpc::ServerContext* context) {
    const auto [begin, end] =
        context->client_metadata().equal_range(wire::kAnnouncedBytesHeader);
    EXPECT_EQ(std::distance(begin, end), 1);
    EXPECT_TRUE(
        wire::ParseAnnouncedBytes({begin->second.data(), begin->second.size()},
                                  &announced.emplace_back()));
    return grpc::Status::OK;
  };
  size_t reply = 0;
  server_.edit = [&reply](v1::ComputeResponse* response) {
    reply = response->ByteSizeLong();
  };
  const Client client = Connected();
  const auto expect = [&](size_t results, size_t tensors) {
    ASSERT_EQ(announced.size(), server_.requests().size());
    EXPECT_EQ(static_cast<size_t>(announced.back().request),
              server_.requests().back().ByteSizeLong());
    EXPECT_EQ(static_cast<size_t>(announced.back().reply),
              results * wire::kAnnouncedResultBytes + tensors);
    EXPECT_LE(reply, static_cast<size_t>(announced.back().reply));
  };
  ASSERT_TRUE(client.Compute({}).ok());
  expect(1, 0);

  std::vector<double> gradient(6);
  std::vector<double> row_losses(3);
  LossCall call = Call();
  call.gradient = MutableViewOf(gradient);
  call.row_losses = row_losses;
  ASSERT_TRUE(client.Compute(call).ok());
  expect(1, 6 * 8 + 3 * 8);

  // A gradient that was not asked for comes with the one that was.
  const std::vector<float> classes(2);
  call.extra_inputs["variance"] = ViewOf(targets_, {3, 2});
  call.extra_inputs["class_weights"] = ViewOf(classes);
  ASSERT_TRUE(client.Compute(call).ok());
  expect(1, 2 * 6 * 8 + 3 * 8);
  call.gradient = {};
  call.extra_gradients["variance"] = MutableViewOf(gradient);
  ASSERT_TRUE(client.Compute(call).ok());
  expect(1, 2 * 6 * 8 + 3 * 8);

  // With REDUCTION_NONE the rows come, and there may be one a prediction.
  LossCall defaults = Call();
  defaults.reduction = v1::REDUCTION_NONE;
  defaults.extra_inputs["variance"] = ViewOf(targets_, {3, 2});
  std::vector<LossCall> calls(2);
  calls[0].gradient = MutableViewOf(gradient);
  calls[1].reduction = v1::REDUCTION_SUM;
  ASSERT_TRUE(client.ComputeBatch(calls, defaults).ok());
  expect(2, 2 * 6 * 8 + 6 * 8);
}

TEST_F(ComputeTest, EveryFieldOfTheResultIsRead) {
  server_.edit = [](v1::ComputeResponse* response) {
    v1::LossResult* result = response->mutable_results(0);
    result->set_loss(1.5);
    result->set_loss_sum(2.5);
    result->set_weight_sum(3.5);
    result->set_normalizer(4.5);
    result->set_row_count(5);
    result->set_masked_count(6);
    result->set_ignored_count(7);
    result->set_clipped_count(8);
    (*result->mutable_diagnostics())["entropy"] = 9;
    result->add_warnings("odd");
    result->mutable_loss_in_force()->mutable_huber()->set_delta(0.25);
    result->set_reduction(v1::REDUCTION_SUM);
    result->set_semantics(v1::SEMANTICS_KERAS);
  };
  const auto result = Connected().Compute(Call());
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->loss, 1.5);
  EXPECT_EQ(result->loss_sum, 2.5);
  EXPECT_EQ(result->weight_sum, 3.5);
  EXPECT_EQ(result->normalizer, 4.5);
  EXPECT_EQ(result->row_count, 5);
  EXPECT_EQ(result->masked_count, 6);
  EXPECT_EQ(result->ignored_count, 7);
  EXPECT_EQ(result->clipped_count, 8);
  EXPECT_EQ(result->diagnostics.at("entropy"), 9);
  EXPECT_THAT(result->warnings, ElementsAre("odd"));
  EXPECT_EQ(result->loss_in_force.huber().delta(), 0.25);
  EXPECT_EQ(result->reduction, v1::REDUCTION_SUM);
  EXPECT_EQ(result->semantics, v1::SEMANTICS_KERAS);
}

TEST_F(ComputeTest, BuffersOfTheWrongSizeAreRefusedHere) {
  const Client client = Connected();
  std::vector<float> gradient(5);
  LossCall call = Call();
  call.gradient = MutableViewOf(gradient);
  ExpectViolation(client.Compute(call).status(), "gradient");

  call.gradient = {v1::DTYPE_INT32, gradient.data(), 24};
  ExpectViolation(client.Compute(call).status(), "gradient.dtype");

  call.gradient = {v1::DTYPE_FLOAT32, nullptr, 24};
  ExpectViolation(client.Compute(call).status(), "gradient.data");

  std::vector<double> variance_gradient(5);
  call.gradient = {};
  call.extra_gradients["variance"] = MutableViewOf(variance_gradient);
  ExpectViolation(client.Compute(call).status(), "extra_gradients.variance");

  call.extra_gradients["variance"] = {};
  ExpectViolation(client.Compute(call).status(),
                  "extra_gradients.variance.dtype");
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(ComputeTest, RowLossesOfAnotherNumberOfRowsAreRefusedByTheReply) {
  std::vector<double> row_losses(6, -1);
  std::vector<float> gradient(6, -1);
  LossCall call = Call();
  call.gradient = MutableViewOf(gradient);
  call.row_losses = row_losses;
  const Client client = Connected();
  const absl::Status status = client.Compute(call).status();
  ExpectViolation(status, "row_losses");
  EXPECT_THAT(status.message(), HasSubstr("3 x 8 bytes"));
  EXPECT_THAT(row_losses, Each(-1));
  EXPECT_THAT(gradient, Each(-1));

  // Only the server knows when every element is a row.
  server_.elements_are_rows = true;
  ASSERT_TRUE(client.Compute(call).ok());
  EXPECT_THAT(row_losses, ElementsAre(0, 10, 20, 30, 40, 50));
}

TEST_F(ComputeTest, ExtraGradientsArriveInTheBuffersOfTheCaller) {
  std::vector<double> gradient(6, -1);
  std::vector<double> variance_gradient(6, -1);
  LossCall call = Call();
  call.extra_inputs["variance"] = ViewOf(targets_, {3, 2});
  call.gradient = MutableViewOf(gradient);
  call.extra_gradients["variance"] = MutableViewOf(variance_gradient);
  const Client client = Connected();
  ASSERT_TRUE(client.Compute(call).ok());
  EXPECT_THAT(gradient, ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(variance_gradient, ElementsAre(100, 101, 102, 103, 104, 105));

  // It may be the only one that is wanted.
  std::vector<float> floats(6, -1);
  call.gradient = {};
  call.extra_gradients["variance"] = MutableViewOf(floats);
  ASSERT_TRUE(client.Compute(call).ok());
  EXPECT_THAT(floats, ElementsAre(100, 101, 102, 103, 104, 105));
  const v1::Outputs outputs = server_.requests().back().items(0).outputs();
  EXPECT_TRUE(outputs.gradient());
  EXPECT_EQ(outputs.gradient_dtype(), v1::DTYPE_FLOAT32);
}

TEST_F(ComputeTest, ExtraGradientsThatNobodyWantsAreIgnored) {
  std::vector<float> gradient(6, -1);
  LossCall call = Call();
  call.extra_inputs["variance"] = ViewOf(targets_, {3, 2});
  call.gradient = MutableViewOf(gradient);
  ASSERT_TRUE(Connected().Compute(call).ok());
  EXPECT_THAT(gradient, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(ComputeTest, ExtraGradientsThatThereAreNoneOfAreRefused) {
  std::vector<float> gradient(6, -1);
  std::vector<float> extra(6, -1);
  LossCall call = Call();
  call.extra_inputs["class_weights"] = ViewOf(targets_, {6});
  call.gradient = MutableViewOf(gradient);
  const Client client = Connected();
  for (const char* name : {"class_weights", "variance"}) {
    call.extra_gradients = {{name, MutableViewOf(extra)}};
    ExpectViolation(client.Compute(call).status(),
                    std::string("extra_gradients.") + name);
  }
  EXPECT_THAT(gradient, Each(-1));
}

TEST_F(ComputeTest, AllGradientsHaveOneDtype) {
  std::vector<float> gradient(6, -1);
  std::vector<double> extra(6, -1);
  LossCall call = Call();
  call.extra_inputs["variance"] = ViewOf(targets_, {3, 2});
  call.gradient = MutableViewOf(gradient);
  call.extra_gradients["variance"] = MutableViewOf(extra);
  ExpectViolation(Connected().Compute(call).status(),
                  "extra_gradients.variance.dtype");
  EXPECT_THAT(server_.requests(), IsEmpty());
}

TEST_F(ComputeTest, ExtraGradientsThatDoNotFitAreErrorsAndWriteNothing) {
  server_.edit = [](v1::ComputeResponse* response) {
    auto& gradients = *response->mutable_results(0)->mutable_extra_gradients();
    gradients["variance"].mutable_data()->pop_back();
  };
  std::vector<float> gradient(6, -1);
  std::vector<float> extra(6, -1);
  LossCall call = Call();
  call.extra_inputs["variance"] = ViewOf(targets_, {3, 2});
  call.gradient = MutableViewOf(gradient);
  call.extra_gradients["variance"] = MutableViewOf(extra);
  const absl::Status status = Connected().Compute(call).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(status.message(), HasSubstr("extra_gradients.variance"));
  EXPECT_THAT(gradient, Each(-1));
  EXPECT_THAT(extra, Each(-1));
}

TEST_F(ComputeTest, HalfTypesTravelAsTheyAre) {
  const std::vector<uint16_t> bits = {1, 2, 3, 4, 5, 0x8000};
  std::vector<uint16_t> gradient(6, 77);
  LossCall call = Call();
  call.predictions = Float16ViewOf(bits, {3, 2});
  call.targets = Bfloat16ViewOf(bits, {3, 2});
  const Client client = Connected();
  for (const auto& [view, dtype] :
       {std::pair{MutableFloat16ViewOf(gradient), v1::DTYPE_FLOAT16},
        std::pair{MutableBfloat16ViewOf(gradient), v1::DTYPE_BFLOAT16}}) {
    gradient.assign(6, 77);
    call.gradient = view;
    ASSERT_TRUE(client.Compute(call).ok());
    EXPECT_THAT(gradient, ElementsAre(0, 1, 2, 3, 4, 5));
    const v1::LossItem item = server_.requests().back().items(0);
    EXPECT_EQ(item.predictions().dtype(), v1::DTYPE_FLOAT16);
    EXPECT_EQ(item.predictions().data(), Bytes(bits));
    EXPECT_EQ(item.targets().dtype(), v1::DTYPE_BFLOAT16);
    EXPECT_EQ(item.outputs().gradient_dtype(), dtype);
  }
}

TEST_F(ComputeTest, RowsOfEveryRank) {
  const Client client = Connected();
  const std::vector<std::pair<std::vector<int64_t>, size_t>> rows = {
      {{}, 1}, {{4}, 4}, {{2, 2}, 2}, {{3, 2, 2}, 6}};
  for (const auto& [shape, count] : rows) {
    size_t elements = 1;
    for (int64_t size : shape) elements *= static_cast<size_t>(size);
    const std::vector<float> predictions(elements);
    std::vector<double> row_losses(count, -1);
    LossCall call;
    call.predictions = ViewOf(predictions, shape);
    call.row_losses = row_losses;
    EXPECT_TRUE(client.Compute(call).ok());
    EXPECT_EQ(row_losses.back(), 10.0 * static_cast<double>(count - 1));
  }
}

TEST_F(ComputeTest, ImpossibleShapesAreLeftToTheServer) {
  server_.edit = [](v1::ComputeResponse* response) {
    v1::ItemStatus* status = response->mutable_results(0)->mutable_status();
    status->set_code(3);
    status->set_message("no such shape");
  };
  const Client client = Connected();
  std::vector<float> gradient(6);
  LossCall call = Call();
  call.gradient = MutableViewOf(gradient);
  call.predictions->shape = {INT64_MAX, INT64_MAX, 0};
  EXPECT_EQ(client.Compute(call).status().message(), "no such shape");
  call.predictions->shape = {-3, 2};
  EXPECT_EQ(client.Compute(call).status().message(), "no such shape");
}

TEST_F(ComputeTest, MemoryThatIsNoneIsLeftToTheServer) {
  LossCall call = Call();
  call.predictions->data = nullptr;
  ASSERT_TRUE(Connected().Compute(call).ok());
  EXPECT_EQ(server_.requests()[0].items(0).predictions().data(), "");
}

TEST_F(ComputeTest, AFailedItemOfABatchFailsAlone) {
  server_.edit = [](v1::ComputeResponse* response) {
    v1::LossResult* result = response->mutable_results(1);
    result->Clear();
    result->mutable_status()->set_code(3);
    result->mutable_status()->set_message("targets hold nan");
    v1::FieldViolation* violation = result->mutable_status()->add_violations();
    violation->set_field("targets.data");
    violation->set_index(4);
    violation->set_got("nan");
    violation->set_allowed("finite");
  };
  std::vector<std::vector<float>> gradients(3, std::vector<float>(6, -1));
  std::vector<LossCall> calls(3, Call());
  for (size_t i = 0; i < 3; ++i)
    calls[i].gradient = MutableViewOf(gradients[i]);
  const auto results = Connected().ComputeBatch(calls);
  ASSERT_TRUE(results.ok()) << results.status();
  ASSERT_EQ(results->size(), 3u);
  EXPECT_EQ((*results)[0]->loss, 0);
  EXPECT_EQ((*results)[2]->loss, 2);
  EXPECT_THAT(gradients[0], ElementsAre(0, 1, 2, 3, 4, 5));
  EXPECT_THAT(gradients[1], Each(-1));
  EXPECT_THAT(gradients[2], ElementsAre(0, 1, 2, 3, 4, 5));

  const absl::Status& failed = (*results)[1].status();
  EXPECT_EQ(failed.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(failed.message(), "targets hold nan");
  const auto violations = ViolationsOf(failed);
  ASSERT_EQ(violations.size(), 1u);
  EXPECT_EQ(violations[0].field(), "targets.data");
  EXPECT_EQ(violations[0].index(), 4);
  EXPECT_EQ(violations[0].got(), "nan");
  EXPECT_EQ(violations[0].allowed(), "finite");
}

TEST_F(ComputeTest, ACallRefusedHereDoesNotShiftItsNeighbours) {
  std::vector<float> small(1);
  std::vector<float> gradient(6, -1);
  std::vector<LossCall> calls(3, Call());
  calls[1].gradient = MutableViewOf(small);
  calls[2].gradient = MutableViewOf(gradient);
  const auto results = Connected().ComputeBatch(calls);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_EQ(server_.requests()[0].items_size(), 2);
  ASSERT_EQ(results->size(), 3u);
  EXPECT_EQ((*results)[0]->loss, 0);
  ExpectViolation((*results)[1].status(), "gradient");
  EXPECT_EQ((*results)[2]->loss, 1);
  EXPECT_THAT(gradient, ElementsAre(0, 1, 2, 3, 4, 5));
}

TEST_F(ComputeTest, AnEmptyBatchHasNoResults) {
  const auto results = Connected().ComputeBatch({});
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_THAT(*results, IsEmpty());
}

TEST_F(ComputeTest, DefaultsAreSentOnce) {
  LossCall defaults = Call();
  defaults.diagnostics = true;
  std::vector<float> gradient(6, -1);
  std::vector<LossCall> calls(2);
  calls[1].gradient = MutableViewOf(gradient);
  const Client client = Connected();
  const auto results = client.ComputeBatch(calls, defaults);
  ASSERT_TRUE(results.ok()) << results.status();
  EXPECT_TRUE((*results)[0].ok());
  EXPECT_THAT(gradient, ElementsAre(0, 1, 2, 3, 4, 5));
  const v1::ComputeRequest request = server_.requests()[0];
  EXPECT_EQ(request.defaults().predictions().data(), Bytes(predictions_));
  for (const v1::LossItem& item : request.items()) {
    EXPECT_FALSE(item.has_predictions());
    EXPECT_TRUE(item.outputs().diagnostics());
  }

  std::vector<float> small(1);
  calls[0].gradient = MutableViewOf(small);
  ExpectViolation((*client.ComputeBatch(calls, defaults))[0].status(),
                  "gradient");
}

TEST_F(ComputeTest, DefaultsHaveNoDestinations) {
  const Client client = Connected();
  const std::vector<LossCall> calls(2);
  std::vector<float> gradient(6);
  LossCall defaults = Call();
  defaults.gradient = MutableViewOf(gradient);
  ExpectViolation(client.ComputeBatch(calls, defaults).status(),
                  "defaults.gradient");
  defaults.gradient = {};
  defaults.extra_gradients["variance"] = MutableViewOf(gradient);
  ExpectViolation(client.ComputeBatch(calls, defaults).status(),
                  "defaults.extra_gradients");
  std::vector<double> row_losses(3);
  defaults.extra_gradients = {};
  defaults.row_losses = row_losses;
  ExpectViolation(client.ComputeBatch(calls, defaults).status(),
                  "defaults.row_losses");
}

TEST_F(ComputeTest, RepliesThatDoNotFitAreErrorsAndWriteNothing) {
  server_.edit = [](v1::ComputeResponse* response) {
    response->mutable_results(0)
        ->mutable_row_losses()
        ->mutable_data()
        ->pop_back();
  };
  std::vector<float> gradient(6, -1);
  std::vector<double> row_losses(3, -1);
  LossCall call = Call();
  call.gradient = MutableViewOf(gradient);
  call.row_losses = row_losses;
  const Client client = Connected();
  EXPECT_EQ(client.Compute(call).status().code(), absl::StatusCode::kInternal);
  EXPECT_THAT(gradient, Each(-1));
  EXPECT_THAT(row_losses, Each(-1));
}

TEST_F(ComputeTest, RepliesOfTheWrongTypeAreErrorsAndWriteNothing) {
  server_.edit = [](v1::ComputeResponse* response) {
    response->mutable_results(0)->mutable_gradient()->set_dtype(
        v1::DTYPE_INT32);
  };
  std::vector<float> gradient(6, -1);
  LossCall call = Call();
  call.gradient = MutableViewOf(gradient);
  const absl::Status status = Connected().Compute(call).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(status.message(), HasSubstr("24 bytes of DTYPE_INT32"));
  EXPECT_THAT(gradient, Each(-1));
}

TEST_F(ComputeTest, RepliesOfTheWrongLengthAreErrors) {
  server_.edit = [](v1::ComputeResponse* response) { response->Clear(); };
  const Client client = Connected();
  absl::Status status = client.Compute(Call()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(status.message(), HasSubstr("0 results for 1 items"));
  server_.edit = [](v1::ComputeResponse* response) { response->add_results(); };
  status = client.Compute(Call()).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInternal);
  EXPECT_THAT(status.message(), HasSubstr("2 results for 1 items"));
}

TEST_F(ComputeTest, AClientIsSharedByThreadsAndCopies) {
  const Client client = Connected();
  std::vector<std::vector<float>> gradients(8, std::vector<float>(6, -1));
  std::vector<std::thread> threads;
  for (std::vector<float>& gradient : gradients) {
    threads.emplace_back([copy = client, call = Call(), &gradient]() mutable {
      call.gradient = MutableViewOf(gradient);
      EXPECT_TRUE(copy.Compute(call).ok());
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(gradients, Each(ElementsAre(0, 1, 2, 3, 4, 5)));
}

}  // namespace
}  // namespace lossd
