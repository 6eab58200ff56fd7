# All packages the build needs, each with the Debian package that holds it:
# nothing is downloaded while configuring.

# A macro, since find_package sets variables and imported targets of the
# directory that calls it.
macro(lossd_find_package name debian_package)
  find_package(${name} ${ARGN} QUIET)
  if(NOT ${name}_FOUND)
    message(FATAL_ERROR "${name} not found: install the Debian package "
                        "${debian_package} (or run deploy/install_packages.sh)")
  endif()
endmacro()

lossd_find_package(Threads libc6-dev)
lossd_find_package(OpenMP "g++ (or libomp-14-dev for clang)" COMPONENTS CXX)
lossd_find_package(absl libabsl-dev CONFIG)
lossd_find_package(hwy libhwy-dev CONFIG)
lossd_find_package(Protobuf "libprotobuf-dev and protobuf-compiler")
lossd_find_package(gRPC "libgrpc++-dev and protobuf-compiler-grpc" CONFIG)
lossd_find_package(CLI11 libcli11-dev CONFIG)
lossd_find_package(nlohmann_json nlohmann-json3-dev CONFIG)

if(LOSSD_BUILD_SERVER)
  lossd_find_package(civetweb libcivetweb-dev CONFIG)
  lossd_find_package(OpenSSL libssl-dev)
  # Debian's prometheus-cpp has no version file, so no version can be asked for.
  lossd_find_package(prometheus-cpp prometheus-cpp-dev CONFIG)
  lossd_find_package(spdlog libspdlog-dev CONFIG)
  lossd_find_package(PkgConfig pkg-config)
  pkg_check_modules(systemd REQUIRED IMPORTED_TARGET libsystemd)
endif()

if(LOSSD_BUILD_TESTS)
  lossd_find_package(GTest "libgtest-dev and libgmock-dev" CONFIG)
  lossd_find_package(benchmark libbenchmark-dev CONFIG)
endif()
