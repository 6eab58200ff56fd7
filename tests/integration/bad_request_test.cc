// Requests that are refused whole: which status, with which text. The server
// goes on serving.

#include <cstdint>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "tests/integration/messages.h"
#include "tests/integration/running_server.h"
#include "tests/support/random.h"

namespace lossd::test {
namespace {

using testing::AllOf;
using testing::HasSubstr;

constexpr char kCompute[] = "/lossd.v1.LossService/Compute";
constexpr int64_t kMaxBytes = 64 << 10;
constexpr int kMaxItems = 4;

v1::LossItem Mse(int64_t elements) {
  v1::LossItem item;
  item.mutable_loss()->mutable_mean_squared_error();
  *item.mutable_predictions() =
      TensorOf(v1::DTYPE_FLOAT32,
               std::vector<float>(static_cast<size_t>(elements)), {elements});
  *item.mutable_targets() = item.predictions();
  return item;
}

v1::ComputeRequest Items(int count) {
  v1::ComputeRequest request;
  *request.mutable_defaults() = Mse(8);
  for (int i = 0; i < count; ++i) request.add_items();
  return request;
}

class BadRequestTest : public testing::Test {
 protected:
  ~BadRequestTest() override {
    EXPECT_TRUE(server_.Serving());
    EXPECT_EQ(server_.Compute(Mse(8)).status().code(), 0);
  }

  void ExpectRefused(const std::string& method,
                     const std::vector<std::string>& messages,
                     grpc::StatusCode code, const std::string& text) {
    const RunningServer::RawReply reply = server_.Send(method, messages);
    EXPECT_EQ(reply.status.error_code(), code) << reply.status.error_message();
    EXPECT_THAT(reply.status.error_message(), HasSubstr(text));
    EXPECT_EQ(reply.messages.size(), 0u);
  }

  const RunningServer server_{ServerOptions{
      .threads = 2, .max_message_bytes = kMaxBytes, .max_items = kMaxItems}};
};

TEST_F(BadRequestTest, BytesThatAreNoRequest) {
  const std::string whole = Items(2).SerializeAsString();
  v1::ComputeRequest other;
  other.set_numerics_version("?");
  std::string no_utf8 = other.SerializeAsString();
  no_utf8.back() = '\xff';
  const std::string cut = whole.substr(0, whole.size() - 1);
  for (const std::string& bytes :
       {std::string("\xff\xff\xff\xff"), std::string(999, 'x'), cut, no_utf8}) {
    ExpectRefused(kCompute, {bytes}, grpc::INVALID_ARGUMENT,
                  "the " + std::to_string(bytes.size()) +
                      " bytes received are no lossd.v1.ComputeRequest");
  }
}

TEST_F(BadRequestTest, SpoiltBytesNeverHarmTheServer) {
  v1::ComputeRequest request = Items(2);
  auto& item = *request.mutable_items(0);
  item.mutable_loss()->mutable_huber()->set_delta(2);
  *item.mutable_sample_weights() = request.defaults().predictions();
  item.mutable_outputs()->set_gradient(true);
  item.mutable_outputs()->set_row_losses(true);
  const std::string good = request.SerializeAsString();
  Random random(1);
  int answered = 0;
  for (int i = 0; i < 2000; ++i) {
    std::string bytes = good;
    for (int flips = 1 + static_cast<int>(random.Below(3)); flips > 0;
         --flips) {
      const auto at = random.Below(static_cast<int64_t>(bytes.size()));
      bytes[static_cast<size_t>(at)] = static_cast<char>(random.Below(256));
    }
    const RunningServer::RawReply reply = server_.Send(kCompute, {bytes});
    if (reply.status.ok()) ++answered;
    EXPECT_TRUE(reply.status.ok() ||
                reply.status.error_code() == grpc::INVALID_ARGUMENT ||
                reply.status.error_code() == grpc::FAILED_PRECONDITION)
        << reply.status.error_message();
    EXPECT_EQ(reply.status.ok(), reply.status.error_message().empty());
  }
  // Some of each.
  EXPECT_GT(answered, 200);
  EXPECT_LT(answered, 1800);
}

TEST_F(BadRequestTest, ValuesNestedTooDeep) {
  v1::ComputeRequest request = Items(1);
  auto* named = request.mutable_items(0)->mutable_loss()->mutable_named();
  named->set_name("huber");
  auto* value = &(*named->mutable_options()->mutable_fields())["delta"];
  for (int i = 0; i < 200; ++i) {
    value = value->mutable_list_value()->add_values();
  }
  ExpectRefused(kCompute, {request.SerializeAsString()}, grpc::INVALID_ARGUMENT,
                "no lossd.v1.ComputeRequest");
}

TEST_F(BadRequestTest, NoMessageAndTwoMessages) {
  ExpectRefused(kCompute, {}, grpc::INVALID_ARGUMENT, "got none");
  ExpectRefused(kCompute, {"", ""}, grpc::INVALID_ARGUMENT, "got more");
}

TEST_F(BadRequestTest, BytesThatAreNoRequestOfTheOtherMethods) {
  for (const char* method : {"/lossd.v1.LossService/ListLosses",
                             "/lossd.v1.LossService/GetServerInfo"}) {
    ExpectRefused(method, {"\xff\xff\xff\xff"}, grpc::INVALID_ARGUMENT, "no");
  }
}

TEST_F(BadRequestTest, EmptyMessageIsARequestWithoutItems) {
  const RunningServer::RawReply reply = server_.Send(kCompute, {""});
  EXPECT_TRUE(reply.status.ok()) << reply.status.error_message();
  ASSERT_EQ(reply.messages.size(), 1u);
  v1::ComputeResponse response;
  EXPECT_TRUE(response.ParseFromString(reply.messages[0]));
}

TEST_F(BadRequestTest, MoreItemsThanTheLimit) {
  EXPECT_EQ(server_.Compute(Items(kMaxItems)).results_size(), kMaxItems);
  ExpectRefused(kCompute, {Items(kMaxItems + 1).SerializeAsString()},
                grpc::RESOURCE_EXHAUSTED, "items: got 5, allowed: at most 4");
}

// What is in them would be refused with another code.
TEST_F(BadRequestTest, ItemsAreCountedBeforeTheyAreParsed) {
  std::string items;
  for (int i = 0; i <= kMaxItems; ++i) items += "\x12\x01\xff";
  ExpectRefused(kCompute, {items}, grpc::RESOURCE_EXHAUSTED,
                "items: got 5, allowed: at most 4");
  // Not counted: as many bytes that are no message.
  ExpectRefused(kCompute, {items + "\x12\x7f"}, grpc::INVALID_ARGUMENT,
                "the 17 bytes received are no lossd.v1.ComputeRequest");
}

TEST_F(BadRequestTest, DetailsAreInTheTrailer) {
  v1::ComputeRequest pinned;
  pinned.set_numerics_version("another");
  for (const auto& [request, detail] :
       {std::pair(pinned, "ErrorInfo"),
        std::pair(Items(kMaxItems + 1), "QuotaFailure")}) {
    const grpc::Status status =
        server_.Send(kCompute, {request.SerializeAsString()}).status;
    v1::Status details;
    ASSERT_TRUE(details.ParseFromString(status.error_details()));
    EXPECT_EQ(details.code(), status.error_code());
    EXPECT_EQ(details.message(), status.error_message());
    ASSERT_EQ(details.details_size(), 1);
    EXPECT_EQ(details.details(0).type_url(),
              std::string("type.googleapis.com/google.rpc.") + detail);
  }
}

TEST_F(BadRequestTest, MessageBeyondTheLimit) {
  v1::ComputeRequest request;
  *request.add_items() = Mse((kMaxBytes - 100) / 8);
  ASSERT_LE(request.ByteSizeLong(), static_cast<size_t>(kMaxBytes));
  EXPECT_EQ(server_.Compute(request).results(0).status().code(), 0);
  *request.mutable_items(0) = Mse(kMaxBytes / 8);
  ExpectRefused(kCompute, {request.SerializeAsString()},
                grpc::RESOURCE_EXHAUSTED, std::to_string(kMaxBytes));
}

TEST_F(BadRequestTest, ReplyBeyondTheLimitIsRefusedItemByItem) {
  v1::ComputeRequest request = Items(kMaxItems);
  *request.mutable_defaults() = Mse(4000);
  request.mutable_defaults()->mutable_outputs()->set_gradient(true);
  request.mutable_defaults()->mutable_outputs()->set_gradient_dtype(
      v1::DTYPE_FLOAT64);
  const v1::ComputeResponse response = server_.Compute(request);
  EXPECT_LE(response.ByteSizeLong(), static_cast<size_t>(kMaxBytes));
  EXPECT_EQ(response.results(0).status().code(), 0);
  for (const int i : {2, 3}) {
    const v1::ItemStatus& status = response.results(i).status();
    EXPECT_EQ(status.code(), grpc::RESOURCE_EXHAUSTED);
    EXPECT_THAT(status.message(), AllOf(HasSubstr("32000 bytes"),
                                        HasSubstr(std::to_string(kMaxBytes))));
  }
}

TEST_F(BadRequestTest, UnknownMethodsAndServices) {
  for (const char* method :
       {"/lossd.v1.LossService/Forward", "/lossd.v2.LossService/Compute",
        "/nobody/knows"}) {
    ExpectRefused(method, {""}, grpc::UNIMPLEMENTED, method);
  }
}

TEST_F(BadRequestTest, StreamsWithoutAHeader) {
  for (const std::vector<std::string>& messages :
       {std::vector<std::string>(), {""}}) {
    ExpectRefused("/lossd.v1.LossService/ComputeStream", messages,
                  grpc::INVALID_ARGUMENT, "header");
  }
}

TEST_F(BadRequestTest, CompressionIsRefused) {
  const RunningServer::RawReply reply = server_.Send(
      kCompute, {Items(2).SerializeAsString()}, GRPC_COMPRESS_GZIP);
  EXPECT_EQ(reply.status.error_code(), grpc::UNIMPLEMENTED);
  EXPECT_NE(reply.status.error_message(), "");
}

TEST_F(BadRequestTest, ClientTellsWhatTheServerSaid) {
  const Client client = server_.Connect();
  EXPECT_EQ(client.Compute({}).status().code(),
            absl::StatusCode::kInvalidArgument);
  const std::vector<LossCall> calls(kMaxItems + 1);
  const auto results = client.ComputeBatch(calls);
  EXPECT_EQ(results.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(results.status().message()),
              HasSubstr("items: got 5, allowed: at most 4"));
}

}  // namespace
}  // namespace lossd::test
