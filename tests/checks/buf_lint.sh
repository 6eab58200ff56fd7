#!/usr/bin/env bash
# Checks the API with buf, which npm brings into build/tools on first use.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

version=1.75.0
buf=build/tools/node_modules/.bin/buf
if [[ $($buf --version 2>/dev/null) != "$version" ]]; then
  mkdir -p build/tools
  npm install --silent --no-fund --no-audit --prefix build/tools \
    "@bufbuild/buf@$version"
fi
# buf says so when it finds no files at all.
$buf lint proto
