#!/usr/bin/env bash
# Installs the Debian packages of the given lists in deploy/packages, if any is
# missing:
#
#   deploy/install_packages.sh build test
set -euo pipefail

lists=$(dirname "$(readlink -f "$0")")/packages
missing=()
for list in "$@"; do
  [[ -f $lists/$list.txt ]] || {
    echo "install_packages.sh: no list $lists/$list.txt" >&2
    exit 2
  }
  while read -r package; do
    # Node from another source brings its own npm, which excludes Debian's.
    if [[ $package == npm ]] && command -v npm >/dev/null; then
      continue
    fi
    if [[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) \
      != installed ]]; then
      missing+=("$package")
    fi
  done < <(grep -v '^#' "$lists/$list.txt")
done
[[ ${#missing[@]} -gt 0 ]] || exit 0

echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
as_root=()
if [[ $EUID -ne 0 ]]; then
  if ! command -v sudo >/dev/null; then
    echo "install_packages.sh: these packages are missing and there is no sudo;" \
      "install them as root" >&2
    exit 1
  fi
  as_root=(sudo)
fi
"${as_root[@]}" apt-get update -q
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
  apt-get install -q -y --no-install-recommends "${missing[@]}"
