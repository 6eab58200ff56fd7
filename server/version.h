#ifndef LOSSD_SERVER_VERSION_H_
#define LOSSD_SERVER_VERSION_H_

namespace lossd {

// "0.1.0": the version of the project that CMake knows.
inline constexpr char kVersion[] = LOSSD_VERSION;

}  // namespace lossd

#endif  // LOSSD_SERVER_VERSION_H_
