// Every loss of the library, in one list.

#ifndef LOSSD_LIB_LOSSES_REGISTRY_H_
#define LOSSD_LIB_LOSSES_REGISTRY_H_

#include <array>
#include <string_view>
#include <variant>

#include "absl/status/status.h"
#include "lib/kernels/loss_kernel.h"
#include "lib/losses/binary_cross_entropy.h"
#include "lib/losses/categorical_cross_entropy.h"
#include "lib/losses/hinge.h"
#include "lib/losses/huber.h"
#include "lib/losses/kullback_leibler_divergence.h"
#include "lib/losses/mean_absolute_error.h"
#include "lib/losses/mean_squared_error.h"
#include "lib/losses/mean_squared_logarithmic_error.h"
#include "lib/losses/sparse_categorical_cross_entropy.h"

namespace lossd {

// Typed parameters, names and functions come from one list of losses, so that
// they cannot disagree.
template <class... Losses>
struct LossList {
  using Params = std::variant<typename Losses::Params...>;

  struct Entry {
    std::string_view name;
    absl::Status (*validate)(const Params&);
    LossKernel (*kernel)(const Params&);
  };

  static constexpr std::array<Entry, sizeof...(Losses)> kTable = {Entry{
      Losses::kName,
      [](const Params& params) {
        return Losses::Validate(std::get<typename Losses::Params>(params));
      },
      [](const Params& params) {
        return Losses::Kernel(std::get<typename Losses::Params>(params));
      }}...};

  static const Entry& Find(const Params& params) {
    return kTable[params.index()];
  }
};

using AllLosses =
    LossList<MeanSquaredError, MeanSquaredLogarithmicError, MeanAbsoluteError,
             Huber, BinaryCrossEntropy, Hinge, CategoricalCrossEntropy,
             SparseCategoricalCrossEntropy, KullbackLeiblerDivergence>;

// The options of one loss; which member it is says which loss.
using LossParams = AllLosses::Params;

}  // namespace lossd

#endif  // LOSSD_LIB_LOSSES_REGISTRY_H_
