// Every loss of the library, in one list.
//
// The losses' headers state what is their own. What holds for all of them,
// unless such a header says otherwise:
//
// Shapes     predictions [..., D], or C where the last axis is classes (then of
//            rank 2 at least, as for losses of vectors); targets the same, or
//            [...] where they are labels or one number a row. What a row is,
//            "Row" says; with kPytorch, for losses whose row is a mean, an
//            element.
// Dtypes     predictions and extra inputs float32, float64, float16 or
//            bfloat16; targets besides int32, int64 or bool; labels int32 or
//            int64. The computation is float64 where an operand is, or where
//            float32 cannot hold an option or factor, else float32; sums, row
//            losses and the loss are always float64.
// Errors     INVALID_ARGUMENT with a FieldViolation (core/violation.h): options
//            out of range, shapes, dtypes, labels that are no class; with
//            kStrict also what is outside "Domain" and results that are not
//            finite. Other semantics compute with such numbers.
// Threads    Validate, Resolve and Kernel are functions of their arguments; any
//            number of threads may run a kernel, which keeps no state.

#ifndef LOSSD_LIB_LOSSES_REGISTRY_H_
#define LOSSD_LIB_LOSSES_REGISTRY_H_

#include <array>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/binary_cross_entropy.h"
#include "lib/losses/categorical_cross_entropy.h"
#include "lib/losses/categorical_focal.h"
#include "lib/losses/categorical_hinge.h"
#include "lib/losses/cispo.h"
#include "lib/losses/cosine.h"
#include "lib/losses/cosine_embedding.h"
#include "lib/losses/dice.h"
#include "lib/losses/distillation_divergence.h"
#include "lib/losses/dpo.h"
#include "lib/losses/dro.h"
#include "lib/losses/focal.h"
#include "lib/losses/gaussian_kl.h"
#include "lib/losses/gaussian_nll.h"
#include "lib/losses/hinge.h"
#include "lib/losses/hinge_embedding.h"
#include "lib/losses/huber.h"
#include "lib/losses/importance_sampling.h"
#include "lib/losses/jensen_shannon_divergence.h"
#include "lib/losses/k3_divergence.h"
#include "lib/losses/kullback_leibler_divergence.h"
#include "lib/losses/log_cosh.h"
#include "lib/losses/margin_ranking.h"
#include "lib/losses/mean_absolute_error.h"
#include "lib/losses/mean_absolute_percentage_error.h"
#include "lib/losses/mean_squared_error.h"
#include "lib/losses/mean_squared_logarithmic_error.h"
#include "lib/losses/multi_margin.h"
#include "lib/losses/multiclass_hinge.h"
#include "lib/losses/nll.h"
#include "lib/losses/options.h"
#include "lib/losses/poisson.h"
#include "lib/losses/ppo.h"
#include "lib/losses/quantile.h"
#include "lib/losses/smooth_l1.h"
#include "lib/losses/soft_margin.h"
#include "lib/losses/sparse_categorical_cross_entropy.h"
#include "lib/losses/squared_hinge.h"
#include "lib/losses/token_cross_entropy.h"
#include "lib/losses/triplet.h"
#include "lib/losses/tversky.h"

namespace lossd {

// Ranges of the options, then what Loss itself checks.
template <class Loss>
absl::Status ValidateParams(const typename Loss::Params& params) {
  absl::Status status;
  Loss::Params::VisitOptions(params, OptionChecker(&status));
  if constexpr (requires { Loss::Validate(params); }) {
    status.Update(Loss::Validate(params));
  }
  return status;
}

template <class Loss>
void ResolveParams(Semantics semantics, typename Loss::Params* params) {
  if constexpr (requires { Loss::Resolve(semantics, params); }) {
    if (params != nullptr) Loss::Resolve(semantics, params);
  }
}

// Typed parameters, names and functions come from one list of losses, so that
// they cannot disagree. A loss is a struct with
//
//   static constexpr char kName[];
//   using Params = ...;    // with VisitOptions, see options.h
//   static LossKernel Kernel(const Params&, Semantics);
//
// and, where options depend on each other or on the semantics,
//
//   static absl::Status Validate(const Params&);
//   static void Resolve(Semantics, Params*);
template <class... Losses>
struct LossList {
  using Params = std::variant<typename Losses::Params...>;

  struct Entry {
    std::string_view name;
    // INVALID_ARGUMENT naming the option; of resolved parameters.
    absl::Status (*validate)(const Params&);
    // Of resolved, valid parameters.
    LossKernel (*kernel)(const Params&, Semantics);
    // Parameters with their defaults.
    Params (*defaults)();
  };

  static constexpr std::array<Entry, sizeof...(Losses)> kTable = {
      Entry{Losses::kName,
            [](const Params& params) {
              return ValidateParams<Losses>(
                  std::get<typename Losses::Params>(params));
            },
            [](const Params& params, Semantics semantics) {
              return Losses::Kernel(std::get<typename Losses::Params>(params),
                                    semantics);
            },
            []() -> Params { return typename Losses::Params(); }}...};

  static const Entry& Find(const Params& params) {
    return kTable[params.index()];
  }

  // Fills in what is unset and the semantics has a convention for. Does
  // nothing to parameters that are resolved.
  static void Resolve(Semantics semantics, Params* params) {
    (ResolveParams<Losses>(semantics,
                           std::get_if<typename Losses::Params>(params)),
     ...);
  }
};

using AllLosses =
    LossList<MeanSquaredError, MeanSquaredLogarithmicError, MeanAbsoluteError,
             Huber, BinaryCrossEntropy, Hinge, CategoricalCrossEntropy,
             SparseCategoricalCrossEntropy, KullbackLeiblerDivergence, SmoothL1,
             LogCosh, MeanAbsolutePercentageError, Quantile, Poisson,
             GaussianNll, GaussianKl, SquaredHinge, CategoricalHinge,
             MultiMargin, MulticlassHinge, SoftMargin, Focal, CategoricalFocal,
             Nll, Cosine, CosineEmbedding, Dice, Tversky, Triplet,
             MarginRanking, HingeEmbedding, DistillationDivergence,
             JensenShannonDivergence, TokenCrossEntropy, ImportanceSampling,
             Ppo, Cispo, Dro, K3Divergence, Dpo>;

// The options of one loss; which member it is says which loss.
using LossParams = AllLosses::Params;

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_REGISTRY_H_
