#!/usr/bin/env bash
# Fuzzes proto/wire; see README.md.
#
#   tests/fuzz/run.sh SECONDS   looks for differences
#   tests/fuzz/run.sh merge     adds to the corpus what was found to be new
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

corpus=tests/fuzz/corpus/wire
work=build/fuzz/wire
limits=(-max_len=8192 -timeout=10 -rss_limit_mb=2048)

case ${1-} in
  merge | [1-9]*) ;;
  *)
    sed -n '4,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

{
  cmake --preset fuzz
  cmake --build --preset fuzz --parallel "$(nproc)" --target wire_fuzz
} >&2
mkdir -p $work/corpus $work/crashes $corpus

export UBSAN_OPTIONS=print_stacktrace=1
if [[ $1 == merge ]]; then
  # The fewest files that cover every branch that the old or the new cover, and
  # those with a "-" in their names: libFuzzer's own are hashes.
  rm -rf $work/merged
  mkdir $work/merged
  find $corpus -name '*-*' -exec cp -t $work/merged {} +
  build/fuzz/bin/wire_fuzz -merge=1 -set_cover_merge=1 -use_counters=0 \
    "${limits[@]}" $work/merged $corpus $work/corpus
  rm -rf $corpus
  mv $work/merged $corpus
  echo "$corpus: $(find $corpus -type f | wc -l) files"
else
  # Saves what is new in the first folder.
  build/fuzz/bin/wire_fuzz "-max_total_time=$1" -print_final_stats=1 \
    "-artifact_prefix=$work/crashes/" "${limits[@]}" $work/corpus $corpus
fi
