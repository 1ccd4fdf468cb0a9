#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the fuzz targets of a build. Each reads its seeds, its cases (what was found once, kept for ever) and
# what earlier runs gathered in FUZZ_CORPUS (BUILD/corpus), then goes on from there for FUZZ_SECONDS (60; 0: no
# further) or for FUZZ_RUNS inputs, none of which may take FUZZ_TIMEOUT (5) seconds. FUZZ_JOBS (1) targets run at
# once. A find is written to tests/fuzz/cases.
# Prints a line for each target and ends on `N passed, N failed`, with status 1 if any failed.
# usage: run.sh BUILD [target ...]
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${1:?usage: run.sh BUILD [target ...]}
shift
seconds=${FUZZ_SECONDS:-60} runs=${FUZZ_RUNS:-} jobs=${FUZZ_JOBS:-1} corpora=${FUZZ_CORPUS:-$build/corpus}
[ $# -gt 0 ] || mapfile -t targets < <(basename -s .c -a tests/fuzz/*.c)
[ $# -eq 0 ] || targets=("$@")

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1:quarantine_size_mb=64}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}

# The longest input that still teaches something; the limits of time and memory make slow and large finds.
declare -A longest=([message]=2048 [json]=1024 [xml]=3072 [yaml]=3072 [reply]=3072 [certificate]=6144 [uuid]=64 [unit]=64 [date]=64
    [token_answer]=1024 [token_error]=1024)

# Gives a report of one run as words: executions, coverage, features.
numbers() {
    sed -nE 's/^#([0-9]+)[[:space:]].* cov: ([0-9]+) ft: ([0-9]+) .*/\1 executions, coverage \2, features \3/p' "$1" |
        tail -n 1
}

# Runs one target; its report goes to BUILD/NAME.log.
fuzz() {
    local name=$1 log=$build/$1.log status
    local cases=tests/fuzz/cases/$name corpus=$corpora/$name
    local flags=(-max_len="${longest[$name]:-512}" -timeout="${FUZZ_TIMEOUT:-5}" -rss_limit_mb=1024 -artifact_prefix="$cases/"
        -print_final_stats=1)
    [ -f "tests/fuzz/$name.dict" ] && flags+=(-dict="tests/fuzz/$name.dict")
    if [ -n "$runs" ] || [ "$seconds" -eq 0 ]; then
        flags+=(-runs="${runs:-0}")
    else
        flags+=(-max_total_time="$seconds")
    fi
    mkdir -p "$cases" "$corpus"
    "$build/fuzz/$name" "${flags[@]}" "$corpus" "tests/fuzz/seeds/$name" "$cases" >"$log" 2>&1
    status=$?
    rmdir --ignore-fail-on-non-empty "$cases"
    if [ "$status" -eq 0 ]; then
        printf '%-18s %s\n' "$name" "$(numbers "$log")"
        return 0
    fi
    grep -E 'does not hold|ERROR:|runtime error|/daemon/|/tests/fuzz/|SUMMARY:' "$log" | head -n 30
    echo "$name: status $status; all of it: $log"
    sed -nE "s|.*Test unit written to (.*)|$name: again with: $build/fuzz/$name \1|p" "$log"
    return 1
}

# Waits for one of the running targets to end.
reap() {
    if wait -n; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
    running=$((running - 1))
}

passed=0 failed=0 running=0
for name in "${targets[@]}"; do
    [ "$running" -lt "$jobs" ] || reap
    fuzz "$name" &
    running=$((running + 1))
done
while [ "$running" -gt 0 ]; do reap; done
echo "fuzz: $passed passed, $failed failed"
[ "$failed" -eq 0 ]
