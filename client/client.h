// Client of lossd: losses and gradients from arrays, over gRPC.
//
//   auto client = lossd::Client::Connect("127.0.0.1:50051");
//   lossd::LossCall call;
//   call.loss.mutable_huber()->set_delta(1);
//   call.predictions = lossd::ViewOf(predictions);
//   call.targets = lossd::ViewOf(targets);
//   call.gradient = lossd::MutableViewOf(gradient);
//   absl::StatusOr<lossd::ClientResult> result = client->Compute(call);

#ifndef LOSSD_CLIENT_CLIENT_H_
#define LOSSD_CLIENT_CLIENT_H_

#include <grpcpp/security/credentials.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "client/arena.h"
#include "client/array.h"
#include "lossd/v1/loss_info.pb.h"
#include "lossd/v1/loss_service.pb.h"
#include "lossd/v1/losses.pb.h"
#include "lossd/v1/status.pb.h"

namespace lossd {

// How a Client connects and what holds for its calls.
struct ClientOptions {
  // Longest time Connect may take.
  absl::Duration connect_deadline = absl::Seconds(10);
  // Longest time a call may take, unless its CallOptions say otherwise.
  absl::Duration deadline = absl::Seconds(60);
  // Null: grpc::InsecureChannelCredentials(), plain text.
  std::shared_ptr<grpc::ChannelCredentials> credentials = nullptr;
  // Largest request to send and reply to accept, in bytes. Unset: the limit
  // that the server tells at Connect, which is never exceeded anyway.
  std::optional<int64_t> max_message_bytes = std::nullopt;
};

// What holds for one call.
struct CallOptions {
  // Longest time it may take. Unset: ClientOptions::deadline.
  std::optional<absl::Duration> deadline = std::nullopt;
};

// One loss to compute. What is left unset has the default that the field of
// the same name of v1::LossItem has, or, in a batch, the value of the batch's
// defaults. The arrays are borrowed until the call returns.
//
// Destinations are untouched when Compute fails. Only those in a ClientArena
// hold unspecified bytes then: the server may have begun to write. There,
// destinations that overlap each other or an array of any call of the batch are
// refused with INVALID_ARGUMENT, but `gradient` may be the very memory of its
// predictions.
struct LossCall {
  // Which loss, and its options: loss.mutable_huber()->set_delta(1).
  v1::Loss loss;
  // Any float dtype, rank at most 8; the last axis is the class axis. float16
  // and bfloat16 are computed as float32.
  std::optional<ArrayView> predictions;
  // Any float dtype, int32, int64 or bool, shape as predictions; class labels
  // are int32 or int64, and they and targets that are one number a row have the
  // shape of the rows. Left unset for losses without targets.
  std::optional<ArrayView> targets;
  // One finite weight for each row: any float dtype, shape of the rows
  // (predictions without the last axis; [n] for predictions of shape [n]).
  // What else a row may be, v1::LossItem.sample_weights says: every element
  // with SEMANTICS_PYTORCH and for losses of policies.
  std::optional<ArrayView> sample_weights;
  // Which rows count: DTYPE_BOOL, shape of the rows.
  std::optional<ArrayView> mask;
  // Factor of the gradients, finite: any float dtype, shape [] or [1] or,
  // with REDUCTION_NONE, that of the rows.
  std::optional<ArrayView> upstream_gradient;
  // Further tensors by name, with shape and dtypes as v1::LossInfo.inputs says:
  // class_weights [C], variance like the predictions, target_indices [rows, K].
  std::map<std::string, ArrayView> extra_inputs;
  // How row losses become one loss. Unset: REDUCTION_MEAN, but
  // REDUCTION_WEIGHTED_MEAN for labels with class_weights and
  // SEMANTICS_PYTORCH.
  v1::Reduction reduction = v1::REDUCTION_UNSPECIFIED;
  // The divisor of REDUCTION_MEAN instead of the number of rows that count;
  // finite, > 0.
  std::optional<double> normalizer;
  // Whose conventions decide what the options leave open. Unset:
  // SEMANTICS_STRICT, which refuses what has no exact value; the others compute
  // what PyTorch and Keras do, NaN included.
  v1::Semantics semantics = v1::SEMANTICS_UNSPECIFIED;
  // Whether ClientResult::diagnostics is wanted.
  bool diagnostics = false;
  // Where the gradient with respect to the predictions goes: one element for
  // each of theirs. Empty: not wanted.
  MutableArrayView gradient;
  // Where gradients with respect to extra inputs go, by their names: one
  // element for each prediction, all of one dtype, which is that of `gradient`
  // if that is wanted too. Only inputs that are given and that v1::LossInfo
  // calls differentiable have one.
  std::map<std::string, MutableArrayView> extra_gradients;
  // Where the loss of each row goes: one element a row. Empty: not wanted.
  std::span<double> row_losses;
};

// One computed loss; the fields are those of v1::LossResult.
struct ClientResult {
  // The loss. NaN with REDUCTION_NONE, and with SEMANTICS_PYTORCH and
  // SEMANTICS_KERAS where the inputs make it so: the call is OK then. When no
  // row counts, 0; with SEMANTICS_PYTORCH the mean of nothing is NaN.
  double loss = 0;
  // Sum over the rows that count of weight times row loss.
  double loss_sum = 0;
  // Sum over the rows that count of the weights.
  double weight_sum = 0;
  // The divisor: loss = loss_sum / normalizer.
  double normalizer = 0;
  // Rows that count: neither masked nor ignored.
  int64_t row_count = 0;
  // Rows left out because of `mask`.
  int64_t masked_count = 0;
  // Rows left out because of ignore_index (and not masked).
  int64_t ignored_count = 0;
  // Predictions whose value was clipped; 0 with SEMANTICS_STRICT.
  int64_t clipped_count = 0;
  // Figures by name, when asked for: gradient_l2_norm and what else
  // v1::LossResult.diagnostics lists.
  std::map<std::string, double> diagnostics;
  // What looks wrong without being an error, for people.
  std::vector<std::string> warnings;
  // The loss with every option as it was in force, defaults filled in.
  v1::Loss loss_in_force;
  // The reduction that was in force.
  v1::Reduction reduction = v1::REDUCTION_UNSPECIFIED;
  // The semantics that was in force.
  v1::Semantics semantics = v1::SEMANTICS_UNSPECIFIED;
};

// A connection to one lossd. Cheap to copy: copies share the connection.
// Thread-safe: all calls may be made from any number of threads at once. A
// moved-from Client may only be assigned to or destroyed. gRPC connections do
// not survive fork(): a process that forks must call Connect in the child, and
// best forks before the first Connect.
//
// Every call may fail with UNAVAILABLE (no connection, or no room now),
// DEADLINE_EXCEEDED, RESOURCE_EXHAUSTED (larger than the message limit),
// CANCELLED (the server gave the call up), INTERNAL (a reply that does not fit
// the request, or a fault of the server), UNIMPLEMENTED (what answers is no
// lossd, or one that is too old) or FAILED_PRECONDITION (see
// numerics_version()). Nothing is retried. Messages of failed RPCs begin with
// the target; their details (RetryInfo, for instance) are payloads of the
// status under their own type URLs.
//
// Large arrays are sent from the caller's memory. A call whose deadline passes
// while the other end does not even read what is being sent, because it is
// stopped or out of reach, returns later than that: when gRPC has let go of the
// memory. Over TCP the connection is given up 20 s after nobody reads from it,
// over a Unix socket when the server's process ends.
class Client {
 public:
  // Connects and learns the server's limits and arithmetic. `target` is
  // "host:port" or "unix:PATH"; http_proxy in the environment is not followed.
  // Fails with UNAVAILABLE, at once or at the connect deadline, when nobody
  // answers at `target`: it does not wait for a server that is starting.
  // INVALID_ARGUMENT if `target` is empty or max_message_bytes is less than 1.
  static absl::StatusOr<Client> Connect(std::string target,
                                        ClientOptions options = {});

  // Computes one loss. Fails with the item's status when the server refuses
  // the call: ViolationsOf() tells what is at fault. Fails with
  // INVALID_ARGUMENT, naming the field, when gradient, extra_gradients or
  // row_losses do not have the size of the result, or when there is no such
  // gradient, or when an array begins in an arena and ends behind it. With
  // FAILED_PRECONDITION, naming the field, for memory of an arena that was
  // freed; with NOT_FOUND if the server has it no more, as after a restart.
  absl::StatusOr<ClientResult> Compute(const LossCall& call,
                                       const CallOptions& options = {}) const;

  // Computes one loss that may be larger than a message: the arrays go in
  // chunks, from the caller's memory, and gradients and row losses come to
  // theirs meanwhile. Results have the bits of Compute, but where the divisor
  // of the loss is known only at the end. Then gradients are those of the sum,
  // rounded to their dtype, multiplied with 1 / normalizer in float64 and
  // rounded again: they can overflow before that, the gradient's norms are
  // those of the first times the same. That is so only for means that depend on
  // mask, sample_weights, labels that are ignored or class weights, without
  // `normalizer`, and only if these arrays (for class weights the targets) are
  // together larger than a message or a quarter of the server's memory budget.
  // With arrays as large, whatever the reduction, weights and upstream
  // gradients whose products float32 cannot hold are refused.
  //
  // Fails as Compute, and with INVALID_ARGUMENT for losses whose rows are
  // coupled (v1::LossInfo.separable) and rows that take more than 16 MiB with
  // their outputs, with UNIMPLEMENTED by servers without streams. Whatever
  // fails before anything is sent leaves the destinations untouched; after any
  // other failure they hold unspecified bytes. They must not overlap the arrays
  // of the call. Gradients come in messages of up to 1 MiB, or of a row if that
  // is larger: ClientOptions::max_message_bytes must allow it. The deadline is
  // that of the whole call:
  // ClientOptions::deadline may be too short for many GiB. Arrays in a
  // ClientArena are sent like all others, freed or not.
  absl::StatusOr<ClientResult> ComputeChunked(
      const LossCall& call, const CallOptions& options = {}) const;

  // Computes a batch of independent losses in one RPC. Returns one result for
  // each call, in the same order; a bad call fails alone, as in Compute. What
  // a call leaves unset is taken from `defaults`, extra_inputs key by key;
  // tensors that calls share are sent once that way. Destinations belong to
  // the calls: INVALID_ARGUMENT if `defaults` has any.
  absl::StatusOr<std::vector<absl::StatusOr<ClientResult>>> ComputeBatch(
      std::span<const LossCall> calls, const LossCall& defaults = {},
      const CallOptions& options = {}) const;

  // Memory of `bytes` bytes, 1 to 2^50, that is shared with the server: tensors
  // in it are not sent. Takes about 0.3 s a GiB. ClientOptions::deadline holds
  // for each answer of the arena socket, to which the first arena connects.
  //
  // Fails with UNIMPLEMENTED if the server offers no arenas, or none to callers
  // from another machine; with UNAVAILABLE if nobody accepts at the arena
  // socket and PERMISSION_DENIED if this process must not connect to it, unless
  // options.fall_back; with RESOURCE_EXHAUSTED if there is no such memory;
  // with INVALID_ARGUMENT for `bytes` or an address that cannot be.
  absl::StatusOr<ClientArena> CreateArena(
      size_t bytes, const ArenaOptions& options = {}) const;

  // Name, guidance, inputs and options of every loss of the server.
  absl::StatusOr<std::vector<v1::LossInfo>> ListLosses(
      const CallOptions& options = {}) const;

  // Version, limits and capabilities of the server.
  absl::StatusOr<v1::GetServerInfoResponse> GetServerInfo(
      const CallOptions& options = {}) const;

  // OK if grpc.health.v1.Health says SERVING of `service`; empty is the whole
  // server. UNAVAILABLE if it says anything else or cannot be asked, NOT_FOUND
  // if the server does not know the service.
  absl::Status CheckHealth(const std::string& service = "",
                           const CallOptions& options = {}) const;

  // The arithmetic of the server at Connect. Every Compute asks for it, and
  // fails with FAILED_PRECONDITION when the server behind the target has
  // another one by now: bits do not change in the middle of a run. A new
  // Connect accepts the new arithmetic. Valid as long as this Client.
  const std::string& numerics_version() const;

  // The target given to Connect. Valid as long as this Client.
  const std::string& target() const;

 private:
  class Connection;

  explicit Client(std::shared_ptr<const Connection> connection);

  std::shared_ptr<const Connection> connection_;
};

// What of a call the server refused, most important first; empty for every
// status that carries no violations. `status` is one that a Client returned.
std::vector<v1::FieldViolation> ViolationsOf(const absl::Status& status);

}  // namespace lossd

#endif  // LOSSD_CLIENT_CLIENT_H_
