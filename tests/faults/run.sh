#!/usr/bin/env bash
# Loads lossd, breaks what is around it, and looks at what callers see.
#
#   tests/faults/run.sh [--short] [NAME...]
#
# NAME is a scenario: overload, cancel, replicas, outages, vanished, http2,
# connections, soak. All of them take half an hour, --short a few minutes.
# Counts, codes, order and bits are asserted; times and memory are figures, which
# are met or not met and decide about nothing. Exits with 1 if an assertion
# fails.
#
# Uses lossd and lossctl of build/release, which must be there, and appends
# "PASSED FAILED" to the file $TEST_CASES when that is set.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

# Not in /tmp, which may be small.
work=$(mktemp -d /var/tmp/lossd_faults.XXXXXX)
trap 'rm -rf --one-file-system "$work"' EXIT

# The Python client as it lies here, and what is generated for it.
/usr/bin/python3 client/python/generate.py "$work"
cp -r client/python/lossd "$work"

export PYTHONDONTWRITEBYTECODE=1 PYTHONPATH="$work"
# In the background, so that a signal is passed on at once.
/usr/bin/python3 tests/faults/faults.py build/release/bin "$@" &
child=$!
trap 'kill -TERM $child 2>/dev/null || true' INT TERM
status=0
wait $child || status=$?
# A signal ends a wait, too.
while kill -0 $child 2>/dev/null; do
  status=0
  wait $child || status=$?
done
exit $status
