#include "client/cli/bench_calls.h"

#include <cstddef>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_format.h"
#include "client/cli/array_data.h"
#include "client/cli/bench_data.h"
#include "client/cli/bench_expected.h"
#include "client/cli/session.h"

namespace lossd::cli {
namespace {

// INVALID_ARGUMENT for a request of so many bytes, if the server takes none.
absl::Status CheckSize(const BenchKind& kind, int64_t items, double bytes,
                       int64_t limit) {
  if (bytes <= static_cast<double>(limit)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrFormat(
      "--rows, --columns, --elements, --items: got %d times %d x %d, a request "
      "of %.0f bytes or more, allowed: %d bytes, the server's limit",
      items, kind.shape.rows, kind.shape.columns, bytes, limit));
}

absl::StatusOr<BenchCall> MakeCall(const BenchKind& kind,
                                   const BenchFlags& flags,
                                   const v1::GetServerInfoResponse& server,
                                   uint64_t seed) {
  const BenchShape& shape = kind.shape;
  const int64_t limit = server.limits().max_message_bytes();
  BenchCall call;
  call.items = flags.items;
  call.elements = shape.rows * shape.columns;
  // Before memory is asked for.
  absl::Status status = CheckSize(kind, call.items,
                                  static_cast<double>(call.items) *
                                      static_cast<double>(call.elements) *
                                      static_cast<double>(SizeOf(shape.dtype)),
                                  limit);
  if (!status.ok()) return status;
  v1::ComputeRequest request;
  request.set_numerics_version(server.numerics_version());
  for (int64_t i = 0; i < call.items; ++i) {
    absl::StatusOr<v1::LossItem> item =
        MakeItem(kind.loss, shape, seed + static_cast<uint64_t>(i));
    if (!item.ok()) return item.status();
    item->mutable_outputs()->set_gradient(flags.gradient);
    item->mutable_outputs()->set_row_losses(flags.row_losses);
    if (flags.check) {
      absl::StatusOr<v1::LossResult> expected = ExpectedResult(*item);
      if (!expected.ok()) return Prefixed("--check", expected.status());
      call.expected.push_back(*std::move(expected));
    }
    *request.add_items() = *std::move(item);
  }
  status = CheckSize(kind, call.items,
                     static_cast<double>(request.ByteSizeLong()), limit);
  if (!status.ok()) return status;
  call.request = request.SerializeAsString();
  return call;
}

}  // namespace

absl::StatusOr<std::vector<BenchCall>> MakeCalls(
    const std::vector<BenchKind>& kinds, const BenchFlags& flags,
    const v1::GetServerInfoResponse& server) {
  std::vector<BenchCall> calls;
  for (const BenchKind& kind : kinds) {
    absl::StatusOr<BenchCall> call =
        MakeCall(kind, flags, server, calls.size() << 32);
    if (!call.ok()) return call.status();
    calls.push_back(*std::move(call));
  }
  return calls;
}

}  // namespace lossd::cli
