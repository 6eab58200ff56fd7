#!/usr/bin/env bash
# Fuzzes proto/wire or proto/arena; see README.md.
#
#   tests/fuzz/run.sh wire|arena SECONDS   looks for differences
#   tests/fuzz/run.sh wire|arena merge     adds to the corpus what was new
set -euo pipefail
cd "$(dirname "$(readlink -f "$0")")/../.."

limits=(-timeout=10 -rss_limit_mb=2048)

case "${1-} ${2-}" in
  "wire merge" | "wire "[1-9]*) limits+=(-max_len=8192) ;;
  # A little more than the longest packet.
  "arena merge" | "arena "[1-9]*) limits+=(-max_len=300) ;;
  *)
    sed -n '4,5s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac

corpus=tests/fuzz/corpus/$1
work=build/fuzz/$1
program=build/fuzz/bin/${1}_fuzz

{
  cmake --preset fuzz
  cmake --build --preset fuzz --parallel "$(nproc)" --target "${1}_fuzz"
} >&2
mkdir -p "$work/corpus" "$work/crashes" "$corpus"

export UBSAN_OPTIONS=print_stacktrace=1
if [[ $2 == merge ]]; then
  # The fewest files that cover every branch that the old or the new cover, and
  # those with a "-" in their names: libFuzzer's own are hashes.
  rm -rf "$work/merged"
  mkdir "$work/merged"
  find "$corpus" -name '*-*' -exec cp -t "$work/merged" {} +
  "$program" -merge=1 -set_cover_merge=1 -use_counters=0 \
    "${limits[@]}" "$work/merged" "$corpus" "$work/corpus"
  rm -rf "$corpus"
  mv "$work/merged" "$corpus"
  echo "$corpus: $(find "$corpus" -type f | wc -l) files"
else
  # Saves what is new in the first folder.
  "$program" "-max_total_time=$2" -print_final_stats=1 \
    "-artifact_prefix=$work/crashes/" "${limits[@]}" "$work/corpus" "$corpus"
fi
