#!/usr/bin/env bash
# Links the programs with link-time optimisation, which notices two different
# types or functions under one name.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

cmake --preset lto
cmake --build --preset lto --parallel "$(nproc)"
