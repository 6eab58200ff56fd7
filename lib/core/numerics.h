#ifndef LOSSD_LIB_CORE_NUMERICS_H_
#define LOSSD_LIB_CORE_NUMERICS_H_

#include <string_view>

namespace lossd {

// Name of the arithmetic: equal names mean equal bits for equal inputs. It
// changes whenever a bit of any result does, and is another one on a processor
// without fused multiply-add.
std::string_view NumericsVersion();

// Vector instructions this process uses: "AVX3", "AVX2", "SCALAR".
std::string_view SimdTarget();

// False without fused multiply-add, where bits may differ from those of other
// machines.
bool Reproducible();

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_NUMERICS_H_
