#!/usr/bin/env bash
# run.sh SECONDS TARGET: one fuzz target from its kept corpus. Alone, what it finds to be new is kept in build/fuzz/corpus;
# with --fresh it begins anew, so that it takes its time and no longer. What breaks it is left in build/fuzz/found.
set -euo pipefail
cd "$(dirname "$0")/../.."

fresh=
if [[ $1 == --fresh ]]; then
    fresh=1
    shift
fi
seconds=$1
name=$2
corpus=build/fuzz/corpus/$name
if [[ -n $fresh ]]; then
    corpus=build/fuzz/scratch/$name
    rm -rf "$corpus"
fi
mkdir -p "$corpus" build/fuzz/found build/fuzz/logs
log=build/fuzz/logs/$name
export ASAN_OPTIONS=detect_leaks=1:quarantine_size_mb=8 UBSAN_OPTIONS=print_stacktrace=1
if "build/fuzz/tests/fuzz/fuzz_$name" "-max_total_time=$seconds" -timeout=10 -rss_limit_mb=2048 -max_len=4096 \
    -dict=tests/fuzz/keywords.dict -print_final_stats=1 "-artifact_prefix=build/fuzz/found/$name-" \
    "$corpus" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
    printf 'fuzz %s: ok, %s runs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
else
    tail -40 "$log"
    printf 'fuzz %s: failed, see build/fuzz/found\n' "$name"
    exit 1
fi
