#!/usr/bin/env bash
# Builds lossd and shows it at work, on a fresh Debian 12:
#
#   deploy/quickstart.sh
#
# Installs what is missing (as root or with sudo), compiles build/release, and
# compares all losses and gradients that a running lossd computes from the
# predictions in tests/data with the values stored there.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/.."

programs=build/release/bin
scratch=$(mktemp -d)
log=$scratch/lossd.log
server=

# Returns lossd's exit code.
stop_server() {
  [[ -n $server ]] || return 0
  local pid=$server
  server=
  # Fails if it has ended already.
  kill "$pid" 2>/dev/null || true
  wait "$pid"
}

finish() {
  local status=$?
  stop_server || true
  if [[ $status -ne 0 ]]; then
    echo >&2
    if [[ -s $log ]]; then
      echo "The log of lossd:" >&2
      cat "$log" >&2
    fi
    echo "quickstart.sh: failed" >&2
  fi
  rm -rf "$scratch"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

echo "=== 1/3 Debian packages"
deploy/install_packages.sh build

echo "=== 2/3 build"
# Tests need packages that this does not; but once they have been built,
# configuring without them would delete them.
tests=OFF
[[ ! -e /usr/include/gmock/gmock.h ]] || tests=ON
cmake --preset release -D LOSSD_BUILD_TESTS=$tests
cmake --build --preset release --parallel "$(nproc)" --target lossd lossctl

echo "=== 3/3 the losses of real predictions"
# Port 0, so that a lossd that already runs here is not in the way.
$programs/lossd --listen 127.0.0.1:0 --metrics_listen "" >"$log" 2>&1 &
server=$!
address=$(timeout 60 tail -n +1 -f --pid="$server" "$log" |
  sed -n '/"event":"serving"/{s/.*"listen":\["\([^"]*\)".*/\1/p;q}') || true
if [[ -z $address ]]; then
  echo "quickstart.sh: lossd did not start" >&2
  exit 1
fi
echo "lossd serves at $address"
echo
$programs/lossctl verify --server "$address" --cases tests/data/cases.json
if ! stop_server; then
  echo "quickstart.sh: lossd did not end as it should" >&2
  exit 1
fi

cat <<END

All of it agrees. What to run next, in $PWD:

  $programs/lossd                   # serves at 127.0.0.1:50051; Ctrl-C ends it

and while it runs, in another terminal:

  $programs/lossctl list
  $programs/lossctl describe huber
  $programs/lossctl compute --loss huber --delta 1.0 \\
    --predictions tests/data/diabetes_predictions.npy \\
    --targets tests/data/diabetes_targets.npy --gradient_out /tmp/gradient.npy
  $programs/lossctl choose \\
    --predictions tests/data/digits_logits.npy \\
    --targets tests/data/digits_labels.npy

All tests:

  tests/run.sh
END
