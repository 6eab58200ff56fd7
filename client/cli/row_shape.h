// What is a row of a loss.

#ifndef LOSSD_CLIENT_CLI_ROW_SHAPE_H_
#define LOSSD_CLIENT_CLI_ROW_SHAPE_H_

#include <cstdint>
#include <vector>

#include "lossd/v1/loss_service.pb.h"
#include "lossd/v1/losses.pb.h"

namespace lossd::cli {

// Shape of the rows, which row losses have, for predictions of this shape: what
// LossItem.sample_weights says, told from LossInfo.row_loss and the options
// prediction_kind and scope. Requires a loss of AllLosses().
std::vector<int64_t> RowShapeOf(const v1::Loss& loss, v1::Semantics semantics,
                                const std::vector<int64_t>& predictions);

}  // namespace lossd::cli

#endif  // LOSSD_CLIENT_CLI_ROW_SHAPE_H_
