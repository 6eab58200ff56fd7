#!/usr/bin/env bash
# check.sh IMAGE: starts lossd as the image says and checks what it does. Run by
# run.sh, in a network and a process namespace of its own.
#
# Appends "PASSED FAILED" to the file $TEST_CASES.
set -uo pipefail

image=$1
passed=0
failed=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT

# check NAME COMMAND...
check() {
  local name=$1
  shift
  if "$@"; then
    passed=$((passed + 1))
    echo "ok      $name"
  else
    failed=$((failed + 1))
    echo "FAILED  $name"
  fi
}

# config FORMAT: prints of the image's configuration what the template says.
config() {
  buildah inspect --type image --format "$1" "$image"
}

# in_image COMMAND...
in_image() {
  buildah run --volume "$PWD/tests/data:/data:ro" "$container" -- "$@"
}

holds_no_compiler() {
  local packages
  # shellcheck disable=SC2016  # A format of dpkg-query's.
  packages=$(in_image dpkg-query --show --showformat '${Package}\n') &&
    ! grep -E '^(g\+\+|cmake|ninja)|-dev$' <<<"$packages"
}

holds_libraries() {
  local libraries
  libraries=$(in_image ldd /usr/local/bin/lossd /usr/local/bin/lossctl) &&
    ! grep 'not found' <<<"$libraries"
}

serves() {
  # Not a pipe, which fails when tail does for want of a reader.
  grep -q '"event":"serving".*"listen":\["0.0.0.0:50051"\]' \
    < <(timeout 60 tail -n +1 -f --pid="$run" "$log")
}

# Through bash, since the image has no curl and the host need not have one.
answers_http() {
  local status
  {
    printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
    read -r status <&3
  } 3<>/dev/tcp/127.0.0.1/9464
  [[ ${status-} == *" 200 "* ]]
}

runs_unprivileged() {
  [[ $(stat -c %u:%g "/proc/$(pidof lossd)") == 10001:10001 ]]
}

# buildah would kill it.
ends_on_stop_signal() {
  kill -s "$(config '{{.Docker.Config.StopSignal}}')" "$(pidof lossd)" &&
    wait "$run"
}

ip link set lo up
container=$(buildah from --pull-never "$image")
mapfile -t entrypoint < <(config \
  '{{range .Docker.Config.Entrypoint}}{{println .}}{{end}}')
# The first word is "CMD".
mapfile -t healthcheck < <(config \
  '{{range .Docker.Config.Healthcheck.Test}}{{println .}}{{end}}')

check "holds no compiler" holds_no_compiler
check "holds all libraries" holds_libraries
in_image "${entrypoint[@]}" >"$log" 2>&1 &
run=$!
check "serves at all addresses" serves
check "is no root" runs_unprivileged
check "health check" in_image "${healthcheck[@]:1}"
check "losses and gradients" in_image lossctl verify --cases /data/cases.json
check "metrics" answers_http
check "SIGTERM ends it with 0" ends_on_stop_signal

buildah rm "$container" >/dev/null
[[ $failed -eq 0 ]] || cat "$log"
echo "image: $passed $failed (checks passed, failed)"
echo "$passed $failed" >>"$TEST_CASES"
[[ $failed -eq 0 ]]
