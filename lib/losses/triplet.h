#ifndef LOSSD_LIB_LOSSES_TRIPLET_H_
#define LOSSD_LIB_LOSSES_TRIPLET_H_

#include "lib/core/spec.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/options.h"

namespace lossd {

// Triplet margin loss, for embeddings of which only orders are known.
//
//   d(u, v) = (sum |u_k - v_k + epsilon|^p)^(1/p)
//   loss = max(0, d(a, positive) - d(a, negative) + margin),  a = predictions
//   g(u, v)_k = sign(e_k) (|e_k| / d(u, v))^(p - 1),  e = u - v + epsilon
//   where the sum is >= 0:  d/da = g(a, positive) - g(a, negative),
//   d/dpositive = -g(a, positive),  d/dnegative = g(a, negative)
//   swap: d(positive, negative) stands for d(a, negative) where it is smaller,
//   and so does its g, half of each where both are equal.
//
// Row        joint over the last axis.
// Inputs     positive and negative, as predictions; both have gradients.
// Domain     predictions, positive and negative finite.
// Kinks      d(a, positive) - d(a, negative) + margin = 0: the slope of a loss
//            > 0, the active side. Where a distance is 0 its g is 0; p = 1:
//            where e_k is 0, g_k is 0.
// Convention torch.nn.TripletMarginLoss, in every semantics.
// Accuracy   computed in float64 for every dtype: the distances cancel. Value
//            within a few ulp of the distances; gradient likewise of 1.
// Source     Schroff, Kalenichenko and Philbin (2015), "FaceNet"; Balntas et
//            al. (2016) for swap.
struct TripletParams {
  // By how much the negative is to be farther away. Finite, >= 0.
  double margin = 1;
  // Which norm. Finite, >= 1.
  double p = 2;
  // Added to every difference. Finite, >= 0.
  double epsilon = 1e-6;
  // Whether the negative is compared with whichever is nearer to it.
  bool swap = false;

  static void VisitOptions(auto& params, auto visit) {
    visit("margin", params.margin, kNotNegative);
    visit("p", params.p, NumberRange{.minimum = 1});
    visit("epsilon", params.epsilon, kNotNegative);
    visit("swap", params.swap, AnyValue());
  }
};

struct Triplet {
  static constexpr char kName[] = "triplet";
  using Params = TripletParams;
  static LossKernel Kernel(const Params& params, Semantics semantics);
};

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_TRIPLET_H_
