#!/usr/bin/env bash
# Checks that clang-format would change nothing.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

git ls-files -z --cached --others --exclude-standard '*.h' '*.cc' |
  xargs -0 clang-format-14 --dry-run -Werror
