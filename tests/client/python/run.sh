#!/usr/bin/env bash
# Installs client/python as its README says, and tests what was installed, also
# in whole training runs:
#
#   run.sh LOSSD LIBRARY_CASES REPORT
set -euo pipefail
here=$(dirname "$(readlink -f "$0")")
export PROGRAM_OF_LOSSD=$1 LIBRARY_CASES=$2
report=$3
cd "$here/../../.."

# Of each sh block in the README; they follow one another.
# shellcheck disable=SC2016  # Backquotes of Markdown.
install=$(sed -n '/^```sh$/,/^```$/{/^```/!p}' client/python/README.md)
bash -euxc "$install"
export PYTHONDONTWRITEBYTECODE=1
build/venv/bin/python -m pytest -q -p no:cacheprovider --junitxml "$report" \
  "$here" tests/e2e
