#ifndef LOSSD_LIB_LOSSES_MARGIN_RANKING_H_
#define LOSSD_LIB_LOSSES_MARGIN_RANKING_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Margin ranking loss, of scores of which one ought to be higher.
//
//   z = margin - y (prediction - other),  value = max(0, z)
//   slope = z >= 0 ? -y : 0,  slope of other = z >= 0 ? y : 0
//
// Row        mean over the last axis.
// Inputs     other_predictions, as predictions; has a gradient.
// Domain     predictions and other_predictions finite, y is -1 or +1.
// Semantics  not kStrict: a y that is neither is computed with.
// Kinks      z = 0: the active side. Equal scores with margin 0 are there.
// Convention torch.nn.MarginRankingLoss.
// Accuracy   float32: value within 2 ulp, also where the difference nearly is
//            the margin: what rounding takes from it is added again.
// Source     Herbrich, Graepel and Obermayer (2000), "Large Margin Rank
//            Boundaries for Ordinal Regression".
struct MarginRankingParams {
  // By how much the higher score is to win. Finite.
  double margin = 0;

  static void VisitOptions(auto& params, auto visit) {
    visit("margin", params.margin, kFinite);
  }
};

struct MarginRanking {
  static constexpr char kName[] = "margin_ranking";
  using Params = MarginRankingParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_MARGIN_RANKING_H_
