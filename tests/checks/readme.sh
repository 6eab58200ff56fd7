#!/usr/bin/env bash
# Checks that README.md shows client/examples/first_call.cc as it is: the copy
# is not compiled, the file is.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

example=client/examples/first_call.cc
if ! diff -u --label README.md --label $example \
  <(sed -n '/^<!-- first_call -->$/,/^<!-- \/first_call -->$/p' README.md) \
  <(printf '%s\n' '<!-- first_call -->' '```cpp'
    cat $example
    printf '%s\n' '```' '<!-- /first_call -->'); then
  echo "copy $example between the markers first_call of README.md" >&2
  exit 1
fi
