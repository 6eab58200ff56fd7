# lossd_test(NAME SOURCES file... LABELS label... [DEPS target...]
#            [PROGRAMS target...] [GRPC])
#
# A GoogleTest program, and one test of ctest. Not one a case: a process a case
# costs more than most cases do, with sanitizers more than all of them. The
# cases are counted from the XML that the program writes.
#
# PROGRAMS  programs that the test starts: built before it, found by it in the
#           folder that the macro LOSSD_BIN_DIR names.
# GRPC      the test includes gRPC's headers, which are then precompiled.
#
# The target tests_LABEL builds all tests of a label.

# The headers that take longest to parse, compiled once for all tests.
file(WRITE "${CMAKE_CURRENT_BINARY_DIR}/precompiled.cc" "")
add_library(lossd_test_pch OBJECT "${CMAKE_CURRENT_BINARY_DIR}/precompiled.cc")
target_precompile_headers(lossd_test_pch PRIVATE <gmock/gmock.h>
                          <gtest/gtest.h>)
target_link_libraries(lossd_test_pch PRIVATE lossd_options GTest::gmock
                                             Threads::Threads)

add_library(lossd_grpc_test_pch OBJECT
            "${CMAKE_CURRENT_BINARY_DIR}/precompiled.cc")
target_precompile_headers(lossd_grpc_test_pch PRIVATE <gmock/gmock.h>
                          <grpcpp/grpcpp.h> <gtest/gtest.h>)
target_link_libraries(lossd_grpc_test_pch PRIVATE lossd_options GTest::gmock
                                                  gRPC::grpc++)

function(lossd_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "GRPC" ""
                        "SOURCES;LABELS;DEPS;PROGRAMS")
  add_executable(${name} ${arg_SOURCES})
  target_link_libraries(${name} PRIVATE ${arg_DEPS} lossd_options
                                        GTest::gmock_main Threads::Threads)
  if(arg_GRPC)
    target_precompile_headers(${name} REUSE_FROM lossd_grpc_test_pch)
  else()
    target_precompile_headers(${name} REUSE_FROM lossd_test_pch)
  endif()
  if(arg_PROGRAMS)
    add_dependencies(${name} ${arg_PROGRAMS})
    target_compile_definitions(
      ${name} PRIVATE "LOSSD_BIN_DIR=\"${CMAKE_RUNTIME_OUTPUT_DIRECTORY}\"")
  endif()
  foreach(label IN LISTS arg_LABELS)
    if(NOT TARGET tests_${label})
      add_custom_target(tests_${label})
    endif()
    add_dependencies(tests_${label} ${name})
  endforeach()
  add_test(
    NAME ${name}
    COMMAND ${name} "--gtest_output=xml:${PROJECT_BINARY_DIR}/test_results/"
    WORKING_DIRECTORY "${PROJECT_SOURCE_DIR}")
  set_tests_properties(${name} PROPERTIES LABELS "${arg_LABELS}" TIMEOUT 600)
endfunction()
