// LossCall and ClientResult as messages. Internal to the client.

#ifndef LOSSD_CLIENT_MESSAGES_H_
#define LOSSD_CLIENT_MESSAGES_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "client/arena/arena_call.h"
#include "client/client.h"
#include "client/lent_memory.h"
#include "lossd/v1/loss_service.pb.h"
#include "proto/wire/reader.h"
#include "proto/wire/writer.h"

namespace lossd::client_internal {

// OK if the destinations of gradients have their size and one dtype; else
// INVALID_ARGUMENT, naming the field. Predictions that `call` does not have
// are those of `defaults`. Calls whose shapes make no sense are OK: what is
// wrong with them is the server's to say.
absl::Status CheckDestinations(const LossCall& call, const LossCall& defaults);

// OK if a destination of row losses has as many elements as there are rows;
// else INVALID_ARGUMENT.
absl::Status CheckRowLosses(size_t bytes, int64_t rows);

// INVALID_ARGUMENT for a destination, `field`, of an extra input that has no
// gradient.
absl::Status NoSuchGradient(const std::string& field);

// `call` as an item, without `outputs`. Arrays in arenas are named, the others
// go to `payloads`; small ones must stay as they are until the message is
// written, the others are lent by `memory`. Fails as CallArenas::Find; `path`
// comes before the fields that it names. `arenas` may be null: none is named.
absl::Status WriteItem(const LossCall& call, const char* path,
                       CallArenas* arenas, LentMemory* memory,
                       wire::SentPayloads* payloads, v1::LossItem* item);

// What `call` wants besides the loss, wherever it goes.
v1::Outputs OutputsOf(const LossCall& call, const LossCall& defaults);

// Bytes of the result in the reply, at most. Allows for its texts generously.
// `outputs` are those of `call`, which say what does not go into the reply.
int64_t ResultBytes(const LossCall& call, const LossCall& defaults,
                    const v1::Outputs& outputs);

// The result as `call` wants it; writes to the destinations of `call` that
// `outputs` does not name an arena for: there the server has written. Fails
// with the status of `result`, with INVALID_ARGUMENT, naming the field, for row
// losses of another number of rows and extra gradients that there are none of,
// and with INTERNAL if tensors are not what the destinations were checked for
// or not where they were wanted; then nothing is written.
absl::StatusOr<ClientResult> ReadResult(const v1::LossResult& result,
                                        const wire::ReceivedPayloads& payloads,
                                        const LossCall& call,
                                        const v1::Outputs& outputs);

// A result that is OK, without its tensors.
ClientResult ResultOf(const v1::LossResult& result);

}  // namespace lossd::client_internal

#endif  // LOSSD_CLIENT_MESSAGES_H_
