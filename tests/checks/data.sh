#!/usr/bin/env bash
# Checks that the stored expectations follow from the stored predictions.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

# Debian's interpreter: the one numpy was installed for.
/usr/bin/python3 tests/data/make_data.py --check
