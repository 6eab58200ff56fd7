#include "lib/losses/sign_labels.h"

#include "lib/core/violation.h"

namespace lossd {

decltype(ElementwiseKernel::explain) ExplainLabels(LabelEncoding encoding) {
  return [=](double /*prediction*/, double target,
             std::span<const double> /*extras*/) -> std::optional<Offence> {
    const bool zero_one = encoding == LabelEncoding::kZeroOne;
    if (target == 1 || target == (zero_one ? 0 : -1)) return std::nullopt;
    return Offence{Offence::Tensor::kTargets, 0, NumberText(target),
                   zero_one ? "0 or 1"
                            : "-1 or +1; for 0 and 1 set the option "
                              "label_encoding to ZERO_ONE"};
  };
}

}  // namespace lossd
