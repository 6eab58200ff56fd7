#!/usr/bin/env bash
# suite.sh BUILD_PRESET TEST_PRESET TARGET...: builds the targets and runs the
# tests that the test preset selects.
#
# Appends "PASSED FAILED", counted in test cases, to the file $TEST_CASES when
# that is set.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

preset=$1
selection=$2
shift 2
folder=build/$preset
jobs=$(nproc)

# deploy/quickstart.sh may have configured without tests.
cmake --preset "$preset" -D LOSSD_BUILD_TESTS=ON
cmake --build --preset "$preset" --parallel "$jobs" --target "$@"

# Results of programs that exist no longer must not be counted.
rm -rf "$folder/test_results"
status=0
ctest --preset "$selection" --parallel "$jobs" \
  --output-junit test_results/ctest.junit || status=$?
counts=$(tests/checks/count_cases.py "$folder/test_results")
echo "$selection: $counts (cases passed, failed)"
if [[ -n ${TEST_CASES-} ]]; then
  echo "$counts" >>"$TEST_CASES"
fi
exit $status
