#!/usr/bin/env bash
# Checks metrics, rules and dashboard with a real Prometheus and the lossd of
# build/release.
#
# Debian's prometheus is unpacked into build/ rather than installed: the package
# starts a server, now and at every boot.
#
# Appends "PASSED FAILED", counted in test cases, to the file $TEST_CASES when
# that is set.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

unpacked=build/prometheus
if [[ ! -x $unpacked/usr/bin/prometheus ]]; then
  # Not in the repository, where apt's own user may not write.
  work=$(mktemp -d)
  trap 'rm -rf "$work"' EXIT
  chmod 755 "$work"
  (cd "$work" && apt-get download -q prometheus)
  mkdir -p build
  dpkg-deb -x "$work"/prometheus_*.deb "$work/unpacked"
  rm -rf "$unpacked"
  mv "$work/unpacked" "$unpacked"
fi

report=build/monitoring.xml
rm -f "$report"
status=0
# Debian's interpreter, which sees Debian's packages.
PYTHONDONTWRITEBYTECODE=1 RELEASE_BIN=build/release/bin \
  PROMETHEUS_BIN=$unpacked/usr/bin \
  /usr/bin/python3 -m pytest -q -p no:cacheprovider --junitxml "$report" \
  tests/deploy || status=$?
if [[ -n ${TEST_CASES-} ]]; then
  tests/checks/count_cases.py --report "$report" >>"$TEST_CASES"
fi
exit $status
