#!/usr/bin/env bash
# Checks everything, on a fresh clone too:
#
#   tests/run.sh          under half an hour on two cores
#   tests/run.sh --full   also what takes longer
#
# A failed step does not keep the others from running. The last line is
# "N passed, N failed", counting test cases and steps.
set -uo pipefail
cd "$(dirname "$(readlink -f "$0")")/.." || exit 2

full=false
case "${1-}" in
  "") ;;
  --full) full=true ;;
  *)
    echo "usage: tests/run.sh [--full]" >&2
    exit 2
    ;;
esac

passed=0
failed=0
failures=()
# A step that runs test cases appends a line "PASSED FAILED" here.
TEST_CASES=$(mktemp)
export TEST_CASES
trap 'rm -f "$TEST_CASES"' EXIT

# step NAME COMMAND...
step() {
  local name=$1 start=$SECONDS verdict=passed
  shift
  printf '\n=== %s\n' "$name"
  : >"$TEST_CASES"
  if "$@"; then
    passed=$((passed + 1))
  else
    failed=$((failed + 1))
    failures+=("$name")
    verdict=FAILED
  fi
  local cases_passed cases_failed
  while read -r cases_passed cases_failed; do
    passed=$((passed + cases_passed))
    failed=$((failed + cases_failed))
  done <"$TEST_CASES"
  printf -- '--- %s %s after %d s\n' "$name" "$verdict" $((SECONDS - start))
}

checks=tests/checks
step packages deploy/install_packages.sh build python python_examples test
step layering $checks/layering.py
step format $checks/format.sh
step shell $checks/shell.sh
step "readme example" $checks/readme.sh
step "proto lint" $checks/buf_lint.sh
step "test data" $checks/data.sh
step release $checks/suite.sh release release all
step faults tests/faults/run.sh --short
step monitoring tests/deploy/monitoring.sh
step image tests/image/run.sh --installed
step asan $checks/suite.sh asan asan tests_unit tests_integration
step tsan $checks/suite.sh tsan tsan tests_tsan
step clang-tidy $checks/clang_tidy.py

if $full; then
  step slow $checks/suite.sh release slow lossd
  step "one definition rule" $checks/one_definition.sh
  step "asan of everything" $checks/suite.sh asan asan-full all
  step "clang-tidy of everything" $checks/clang_tidy.py --full
  step "image that compiles" tests/image/run.sh
fi

echo
for name in "${failures[@]}"; do
  echo "failed step: $name"
done
echo "$passed passed, $failed failed"
[[ $failed -eq 0 ]]
