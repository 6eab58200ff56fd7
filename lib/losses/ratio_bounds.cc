#include "lib/losses/ratio_bounds.h"

#include "lib/core/dtype.h"
#include "lib/core/violation.h"
#include "lib/kernels/policy.h"
#include "lib/losses/options.h"

namespace lossd {

absl::Status CheckRatioBounds(double clip_low, double clip_high) {
  if (clip_low <= clip_high) return absl::OkStatus();
  return RefuseOption("clip_low", NumberText(clip_low),
                      "at most clip_high, " + NumberText(clip_high));
}

LossTraits BoundedRatioTraits(PredictionKind prediction_kind, double clip_low,
                              double clip_high) {
  LossTraits traits =
      TokenTraits(prediction_kind, {"old_log_probabilities", "advantages"});
  traits.diagnostics = {{"ratio_max", DiagnosticInfo::Combine::kMax},
                        {"ratio_mean"},
                        {"clipped_fraction"}};
  traits.double_only = !FitsFloat(clip_low) || !FitsFloat(clip_high);
  return traits;
}

}  // namespace lossd
