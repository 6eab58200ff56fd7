// A LossService that answers what a test tells it to, on a Unix socket.

#ifndef LOSSD_TESTS_CLIENT_FAKE_SERVER_H_
#define LOSSD_TESTS_CLIENT_FAKE_SERVER_H_

#include <grpc/grpc.h>
#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "lossd/v1/loss_service.grpc.pb.h"
#include "tests/support/temp_dir.h"

namespace lossd::test {

// Counts instead of computing: loss is the item's place in the request,
// gradient element i is i, that of an extra input 100 + i, row loss i is 10 i.
// Half types get these as 16-bit integers. Destinations in arenas are named in
// the result and not written to. Set the members before the first call.
class FakeServer final : public v1::LossService::Service {
 public:
  // What is asked before an answer; anything but OK is the RPC's answer.
  using Hook = std::function<grpc::Status(grpc::ServerContext*)>;

  // Begins to listen, with the default health service, on a Unix socket or,
  // with an address that ends with ":0", on a free port.
  explicit FakeServer(const std::string& address = "") {
    // Else gRPC shuts down after every test, which takes 10 s where a write had
    // to wait.
    [[maybe_unused]] static const bool running = (grpc_init(), true);
    info.set_version("1.2.3");
    info.set_numerics_version("fake-1");
    info.mutable_limits()->set_max_message_bytes(1 << 20);
    grpc::EnableDefaultHealthCheckService(true);
    grpc::ServerBuilder builder;
    target_ = address.empty() ? "unix:" + (dir_ / "socket") : address;
    int port = 0;
    builder.AddListeningPort(target_, grpc::InsecureServerCredentials(), &port);
    builder.SetMaxReceiveMessageSize(-1);
    builder.RegisterService(this);
    server_ = builder.BuildAndStart();
    if (!address.empty()) {
      target_.replace(target_.rfind(':') + 1, 1, std::to_string(port));
    }
  }

  ~FakeServer() override { server_->Shutdown(); }

  const std::string& target() const { return target_; }
  grpc::HealthCheckServiceInterface* health() const {
    return server_->GetHealthCheckService();
  }

  std::vector<v1::ComputeRequest> requests() {
    std::lock_guard lock(mutex_);
    return requests_;
  }

  v1::GetServerInfoResponse info;
  Hook before_info = [](auto*) { return grpc::Status::OK; };
  Hook before_compute = [](auto*) { return grpc::Status::OK; };
  // A whole call of ComputeStream.
  using Stream = grpc::ServerReaderWriter<v1::ComputeStreamResponse,
                                          v1::ComputeStreamRequest>;
  std::function<grpc::Status(grpc::ServerContext*, Stream*)> stream =
      [](auto*, auto*) { return grpc::Status::OK; };
  // Extra inputs that have a gradient.
  std::set<std::string> differentiable = {"variance"};
  // Every element is a row, instead of the last axis.
  bool elements_are_rows = false;
  // Changes the reply before it is sent.
  std::function<void(v1::ComputeResponse*)> edit = [](auto*) {};

  grpc::Status GetServerInfo(grpc::ServerContext* context,
                             const v1::GetServerInfoRequest*,
                             v1::GetServerInfoResponse* response) override {
    *response = info;
    return before_info(context);
  }

  grpc::Status ListLosses(grpc::ServerContext*, const v1::ListLossesRequest*,
                          v1::ListLossesResponse* response) override {
    response->add_losses()->set_name("huber");
    response->add_losses()->set_name("hinge");
    return grpc::Status::OK;
  }

  grpc::Status Compute(grpc::ServerContext* context,
                       const v1::ComputeRequest* request,
                       v1::ComputeResponse* response) override {
    {
      std::lock_guard lock(mutex_);
      requests_.push_back(*request);
    }
    grpc::Status status = before_compute(context);
    if (!status.ok()) return status;
    for (const v1::LossItem& item : request->items()) {
      v1::LossResult* result = response->add_results();
      result->set_loss(response->results_size() - 1);
      Answer(item.has_predictions() ? item.predictions()
                                    : request->defaults().predictions(),
             item, result);
    }
    edit(response);
    return grpc::Status::OK;
  }

  grpc::Status ComputeStream(grpc::ServerContext* context,
                             Stream* messages) override {
    return stream(context, messages);
  }

 private:
  void Answer(const v1::Tensor& predictions, const v1::LossItem& item,
              v1::LossResult* result) const {
    // Of impossible shapes any number, by arithmetic that may wrap.
    uint64_t product = 1;
    for (const int64_t size : predictions.shape()) {
      product *= static_cast<uint64_t>(size);
    }
    const auto elements = static_cast<int64_t>(product);
    std::vector<int64_t> rows(predictions.shape().begin(),
                              predictions.shape().end());
    if (rows.size() > 1 && !elements_are_rows) rows.pop_back();
    product = 1;
    for (const int64_t size : rows) product *= static_cast<uint64_t>(size);
    const auto row_count = static_cast<int64_t>(product);
    result->set_row_count(row_count);
    if (item.has_loss()) *result->mutable_loss_in_force() = item.loss();
    const v1::Outputs& outputs = item.outputs();
    if (outputs.gradient()) {
      Count(0, elements, outputs.gradient_dtype(), result->mutable_gradient());
      if (outputs.has_gradient_to()) {
        *result->mutable_gradient()->mutable_arena() = outputs.gradient_to();
      }
      for (const auto& [name, tensor] : item.extra_inputs()) {
        if (differentiable.count(name) == 0) continue;
        v1::Tensor* gradient = &(*result->mutable_extra_gradients())[name];
        Count(100, elements, outputs.gradient_dtype(), gradient);
        const auto to = outputs.extra_gradients_to().find(name);
        if (to == outputs.extra_gradients_to().end()) continue;
        *gradient->mutable_arena() = to->second;
      }
    }
    if (outputs.row_losses()) {
      v1::Tensor* row_losses = result->mutable_row_losses();
      row_losses->set_dtype(v1::DTYPE_FLOAT64);
      row_losses->mutable_shape()->Add(rows.begin(), rows.end());
      for (int64_t i = 0; i < row_count; ++i) {
        Append(10 * static_cast<double>(i), row_losses->mutable_data());
      }
      if (outputs.has_row_losses_to()) {
        *row_losses->mutable_arena() = outputs.row_losses_to();
      }
    }
  }

  static void Count(int64_t begin, int64_t count, v1::Dtype dtype,
                    v1::Tensor* tensor) {
    tensor->set_dtype(dtype);
    for (int64_t i = begin; i < begin + count; ++i) {
      if (dtype == v1::DTYPE_FLOAT32) {
        Append(static_cast<float>(i), tensor->mutable_data());
      } else if (dtype == v1::DTYPE_FLOAT64) {
        Append(static_cast<double>(i), tensor->mutable_data());
      } else {
        Append(static_cast<uint16_t>(i), tensor->mutable_data());
      }
    }
  }

  template <typename T>
  static void Append(T value, std::string* bytes) {
    bytes->append(reinterpret_cast<const char*>(&value), sizeof(value));
  }

  const TempDir dir_;
  std::string target_;
  std::mutex mutex_;
  std::vector<v1::ComputeRequest> requests_;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace lossd::test

#endif  // LOSSD_TESTS_CLIENT_FAKE_SERVER_H_
