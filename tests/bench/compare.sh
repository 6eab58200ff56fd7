#!/usr/bin/env bash
# Measures; see README.md. Not a test: exits with 0 whatever it finds.
#
#   tests/bench/compare.sh kernels [--threads N] [--rounds N] [--only REGEX]
#   tests/bench/compare.sh wire [--rounds N] [--only REGEX]
#   tests/bench/compare.sh arena [--rounds N] [--only REGEX]
#   tests/bench/compare.sh plot      how cost grows: results/*.svg
#   tests/bench/compare.sh plot_wire what the last `wire` measured, likewise
#   tests/bench/compare.sh accuracy  errors in ulps: results/accuracy.md
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

build=build/release
here=tests/bench

# Builds what a comparison needs; stdout is the comparison's own.
build() {
  {
    cmake --preset release -D LOSSD_BUILD_TESTS=ON
    cmake --build --preset release --parallel "$(nproc)" --target bench
  } >&2
}

# The Python client, as its README says.
install_client() {
  {
    /usr/bin/python3 -m venv --system-site-packages build/venv
    build/venv/bin/pip install ./client/python
  } >&2
}

command=${1-}
case $command in
  kernels)
    shift
    build
    # Debian's interpreter, which sees Debian's packages.
    /usr/bin/python3 $here/compare_kernels.py $build/bin/compare_kernels "$@"
    ;;
  wire)
    shift
    build
    mkdir -p build/bench
    /usr/bin/python3 $here/compare_wire.py $build/bin build/bench/wire.json "$@"
    ;;
  arena)
    shift
    build
    install_client
    build/venv/bin/python $here/compare_arena.py $build/bin \
      $here/results/arena.md "$@"
    ;;
  plot_wire)
    /usr/bin/python3 $here/plot_wire.py build/bench/wire.json $here/results
    ;;
  plot)
    build
    mkdir -p build/bench
    $build/bin/bench_losses --benchmark_filter='/float32/gradient/' \
      --benchmark_min_time=0.01 --benchmark_repetitions=20 \
      --benchmark_out=build/bench/losses.json --benchmark_out_format=json \
      --benchmark_display_aggregates_only=true >&2
    /usr/bin/python3 $here/plot.py build/bench/losses.json $here/results
    ;;
  accuracy)
    build
    mkdir -p $here/results
    /usr/bin/python3 $here/accuracy.py $build/bin | tee build/accuracy.md
    mv build/accuracy.md $here/results/accuracy.md
    ;;
  *)
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
