#include "lib/losses/ratio_bounds.h"

#include "lib/core/violation.h"
#include "lib/losses/options.h"

namespace lossd {

absl::Status CheckRatioBounds(double clip_low, double clip_high) {
  if (clip_low <= clip_high) return absl::OkStatus();
  return RefuseOption("clip_low", NumberText(clip_low),
                      "at most clip_high, " + NumberText(clip_high));
}

}  // namespace lossd
