#!/usr/bin/env bash
# Builds the image and checks it:
#
#   tests/image/run.sh              compiles in the image, as Dockerfile says
#   tests/image/run.sh --installed  takes lossd and lossctl from build/release
#
# The base is made by debootstrap and set up for apt as this machine is, so that
# no registry is asked. It is kept in build/ for the next run; all else, the
# image included, is removed. Needs root or sudo.
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

installed=false
case "${1-}" in
  "") ;;
  --installed) installed=true ;;
  *)
    echo "usage: tests/image/run.sh [--installed]" >&2
    exit 2
    ;;
esac

# Not in /tmp, which may be memory.
work=$(mktemp -d /var/tmp/lossd_image.XXXXXX)
base=build/image_base.tar

as_root() {
  local sudo=()
  [[ $EUID -eq 0 ]] || sudo=(sudo)
  "${sudo[@]}" env BUILDAH_ISOLATION=chroot STORAGE_DRIVER=vfs TMPDIR="$work" \
    CONTAINERS_STORAGE_CONF="$work/storage.conf" \
    TEST_CASES="$work/cases" "$@"
}
trap 'as_root rm -rf --one-file-system "$work"' EXIT

# bootstrap_base FILE
bootstrap_base() {
  local mirror suite=bookworm root=$work/base
  # shellcheck disable=SC2016  # A format of apt's.
  mirror=$(apt-get indextargets --format '$(REPO_URI)' \
    'Identifier: Packages' 'Component: main' "Codename: $suite" | head -n 1)
  # Mounts of its own, or those of an interrupted run would stay.
  as_root unshare --mount \
    debootstrap --variant=minbase "$suite" "$root" "$mirror"
  as_root tar -C "$root" --exclude './dev/*' --exclude './var/cache/apt/*' \
    --exclude './etc/apt/*' --one-file-system -c . >"$work/base.tar"
  as_root rm -rf --one-file-system "$root"
  mkdir -p "$(dirname "$1")"
  mv "$work/base.tar" "$1"
}

cat >"$work/storage.conf" <<END
[storage]
driver = "vfs"
graphroot = "$work/storage"
runroot = "$work/run"
END

[[ -e $base ]] || bootstrap_base $base
container=$(as_root buildah from scratch)
as_root buildah add --quiet "$container" $base /
for path in /etc/apt /usr/share/keyrings /etc/ssl/certs/ca-certificates.crt; do
  [[ ! -e $path ]] || as_root buildah add --quiet "$container" $path $path
done
as_root buildah commit --quiet --rm "$container" lossd-base

# The docker format, since OCI's has no HEALTHCHECK.
build=(buildah bud --format docker --build-arg BASE=localhost/lossd-base)
if $installed; then
  as_root "${build[@]}" --target runtime --tag lossd-runtime .
  cmake --install build/release --prefix "$work/installed" --strip
  container=$(as_root buildah from --pull-never localhost/lossd-runtime)
  as_root buildah copy --quiet "$container" "$work/installed" /usr/local
  as_root buildah commit --quiet --rm --format docker "$container" lossd
else
  as_root "${build[@]}" --tag lossd .
fi

# A network of its own, since lossd serves at all addresses, and processes of its
# own, which end with it.
status=0
as_root unshare --net --pid --fork --kill-child --mount-proc \
  tests/image/check.sh localhost/lossd || status=$?
# Not by root, whom the kernel keeps from files of others in /tmp.
if [[ -n ${TEST_CASES-} ]]; then
  cat "$work/cases" >>"$TEST_CASES"
fi
exit $status
