#!/usr/bin/env bash
# Checks every shell script with shellcheck.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

find . -path ./build -prune -o -path ./.git -prune -o -name '*.sh' -print0 |
  xargs -0 shellcheck .ci/run
