# LOSSD_SANITIZE applies to every target: a half-instrumented program reports
# races and overflows that are none.

if(LOSSD_SANITIZE STREQUAL "address")
  # Checks as calls: inlined, they double gcc's time on the vector kernels.
  add_compile_options(-fsanitize=address,undefined -fno-sanitize-recover=all
                      -fno-omit-frame-pointer
                      "SHELL:--param asan-instrumentation-with-call-threshold=0")
  add_link_options(-fsanitize=address,undefined)
elseif(LOSSD_SANITIZE STREQUAL "thread")
  if(NOT CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    # libgomp's barriers are invisible to the thread sanitizer; libomp's are
    # reported to it by archer.
    message(FATAL_ERROR "LOSSD_SANITIZE=thread needs clang and libomp")
  endif()
  add_compile_options(
    # What asks to be unrolled is not with -O1, which clang warns of.
    -fsanitize=thread -fno-omit-frame-pointer -Wno-pass-failed
    "-fsanitize-ignorelist=${CMAKE_CURRENT_LIST_DIR}/tsan_ignorelist.txt")
  add_link_options(-fsanitize=thread)
elseif(LOSSD_SANITIZE STREQUAL "fuzzer")
  # Address and undefined behaviour, and counters that lead libFuzzer, which is
  # linked by its targets alone.
  add_compile_options(
    -fsanitize=fuzzer-no-link,address,undefined -fno-sanitize-recover=all
    -fno-omit-frame-pointer
    "-fsanitize-coverage-ignorelist=${CMAKE_CURRENT_LIST_DIR}/fuzz_coverage_ignorelist.txt"
  )
  add_link_options(-fsanitize=address,undefined)
elseif(LOSSD_SANITIZE)
  message(FATAL_ERROR "LOSSD_SANITIZE is '${LOSSD_SANITIZE}', "
                      "allowed are address, fuzzer, thread and nothing")
endif()
if(LOSSD_SANITIZE)
  add_compile_definitions(_GLIBCXX_ASSERTIONS)
endif()
