#include "lib/losses/sign_labels.h"

#include <string>

#include "lib/core/violation.h"

namespace lossd {
namespace {

decltype(ElementwiseKernel::explain) ExplainTwo(double negative,
                                                const std::string& allowed) {
  return [=](double /*prediction*/, double target,
             std::span<const double> /*extras*/) -> std::optional<Offence> {
    if (target == 1 || target == negative) return std::nullopt;
    return Offence{Offence::Tensor::kTargets, 0, NumberText(target), allowed};
  };
}

}  // namespace

decltype(ElementwiseKernel::explain) ExplainLabels(LabelEncoding encoding) {
  if (encoding == LabelEncoding::kZeroOne) return ExplainTwo(0, "0 or 1");
  return ExplainTwo(-1,
                    "-1 or +1; for 0 and 1 set the option label_encoding to "
                    "ZERO_ONE");
}

decltype(ElementwiseKernel::explain) ExplainSigns() {
  return ExplainTwo(-1, "-1 or +1");
}

}  // namespace lossd
