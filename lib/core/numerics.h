#ifndef LOSSD_LIB_CORE_NUMERICS_H_
#define LOSSD_LIB_CORE_NUMERICS_H_

#include <string_view>

namespace lossd {

// Name of the arithmetic: equal names mean equal bits for equal inputs. It
// changes whenever a bit of any result does.
inline constexpr std::string_view kNumericsVersion = "1";

// Vector instructions this process uses: "AVX3", "AVX2", "SCALAR".
std::string_view SimdTarget();

// False without fused multiply-add (SCALAR), where bits may differ from those
// of other machines.
bool Reproducible();

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_NUMERICS_H_
