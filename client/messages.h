// LossCall and ClientResult as messages. Internal to the client.

#ifndef LOSSD_CLIENT_MESSAGES_H_
#define LOSSD_CLIENT_MESSAGES_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/client.h"
#include "lossd/v1/loss_service.pb.h"

namespace lossd::client_internal {

// OK if the destinations of gradients have their size and one dtype; else
// INVALID_ARGUMENT, naming the field. Predictions that `call` does not have
// are those of `defaults`. Calls whose shapes make no sense are OK: what is
// wrong with them is the server's to say.
absl::Status CheckDestinations(const LossCall& call, const LossCall& defaults);

// `call` as an item, without `outputs`. Copies the arrays.
v1::LossItem ItemOf(const LossCall& call);

// What `call` wants besides the loss.
v1::Outputs OutputsOf(const LossCall& call, const LossCall& defaults);

// The result as `call` wants it; writes to the destinations of `call`. Fails
// with the status of `result`, with INVALID_ARGUMENT, naming the field, for row
// losses of another number of rows and extra gradients that there are none of,
// and with INTERNAL if tensors are not what the destinations were checked for;
// then nothing is written.
absl::StatusOr<ClientResult> ReadResult(const v1::LossResult& result,
                                        const LossCall& call);

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_MESSAGES_H_
