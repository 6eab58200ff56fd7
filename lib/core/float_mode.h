#ifndef LOSSD_LIB_CORE_FLOAT_MODE_H_
#define LOSSD_LIB_CORE_FLOAT_MODE_H_

namespace lossd {

// While it lives, the calling thread computes in the default floating-point
// mode: round to nearest, subnormals kept, exceptions masked. Programs linked
// with fast-math flush subnormals to zero in every thread, which would change
// bits.
class DefaultFloatMode {
 public:
  DefaultFloatMode() : saved_(__builtin_ia32_stmxcsr()) {
    // Writing the register is slow, reading it is not.
    if (Mode(saved_) != kDefault) __builtin_ia32_ldmxcsr(kDefault);
  }
  ~DefaultFloatMode() {
    if (Mode(saved_) != kDefault) __builtin_ia32_ldmxcsr(saved_);
  }
  DefaultFloatMode(const DefaultFloatMode&) = delete;
  DefaultFloatMode& operator=(const DefaultFloatMode&) = delete;

 private:
  static constexpr unsigned kDefault = 0x1f80;
  static constexpr unsigned kStickyFlags = 0x3f;

  static unsigned Mode(unsigned mxcsr) { return mxcsr & ~kStickyFlags; }

  const unsigned saved_;
};

}  // namespace lossd

#endif  // LOSSD_LIB_CORE_FLOAT_MODE_H_
