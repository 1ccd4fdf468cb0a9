#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs all tests of a build: each unit program, the check of includes, the fuzz targets of build/fuzz for a
# few inputs each, the end-to-end tests, the short part of the fault bench. Ends on one line, `N passed, N failed`,
# and with status 1 if any failed. A test that was skipped has not passed: it is named, and counts as failed.
# usage: check.sh BUILD [pytest arguments]
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${1:?usage: check.sh BUILD [pytest arguments]}
shift
passed=0 failed=0
read -ra under <<<"${UNIT_UNDER:-}" # a program that runs the unit programs

export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export PYTHONDONTWRITEBYTECODE=1
export CVNOTIFYD=${CVNOTIFYD:-$PWD/$build/cvnotifyd}

# Sums cmocka's counts of one kind (PASSED, FAILED or SKIPPED) in a program's output.
count() { sed -nE "s/^\[  $1 +\] ([0-9]+) test.*/\1/p" "$2" | awk '{ n += $1 } END { print n + 0 }'; }

unit() {
    local program=$1 out=$1.out status good bad skipped
    timeout "${UNIT_TIMEOUT:-600}" "${under[@]}" "$program" >"$out" 2>&1
    status=$?
    good=$(count PASSED "$out") bad=$(count FAILED "$out")
    if [ "$status" -ne 0 ] || [ $((good + bad)) -eq 0 ]; then
        [ "$bad" -gt 0 ] || bad=1
        cat "$out"
        echo "unit ${program#"$build/unit/"}: status $status"
    fi
    skipped=$(count SKIPPED "$out")
    if [ "$skipped" -gt 0 ]; then
        echo "unit ${program#"$build/unit/"}: skipped, which counts as failed:"
        sed -nE 's/^\[  SKIPPED +\] ([a-z].*)/    \1/p' "$out" | sort -u
    fi
    passed=$((passed + good)) failed=$((failed + bad + skipped))
}

# From the seeds alone, whatever `make fuzz` has gathered, so that it takes the same time everywhere. What is slow
# is for `make fuzz` to find: a machine that stands still for a while makes any input slow.
fuzz() {
    local out=build/fuzz/check.out good bad
    rm -rf build/fuzz/check-corpus
    FUZZ_RUNS=3000 FUZZ_TIMEOUT=60 FUZZ_JOBS=$(nproc) FUZZ_CORPUS=build/fuzz/check-corpus tests/fuzz/run.sh build/fuzz >"$out" 2>&1
    read -r good bad < <(sed -nE 's/^fuzz: ([0-9]+) passed, ([0-9]+) failed$/\1 \2/p' "$out")
    if [ "${good:-0}" -eq 0 ] || [ "${bad:-0}" -gt 0 ]; then cat "$out"; else tail -n 1 "$out"; fi
    [ $((${good:-0} + ${bad:-0})) -gt 0 ] || bad=1
    passed=$((passed + ${good:-0})) failed=$((failed + bad))
}

# Sums what a run of pytest reports, $1 its name, the rest its command.
pytests() {
    local report=$build/$1.xml status word n
    shift
    rm -f "$report"
    "$@" --junitxml="$report"
    status=$?
    declare -A of=()
    for word in tests failures errors skipped; do
        n=$(grep -oE "<testsuite [^>]*" "$report" 2>/dev/null | grep -oE " $word=\"[0-9]+\"" | head -n 1 | tr -dc 0-9)
        of[$word]=${n:-0}
    done
    local bad=$((of[failures] + of[errors] + of[skipped]))
    [ "${of[skipped]}" -eq 0 ] || echo "${of[skipped]} skipped, which counts as failed"
    n=$((of[tests] - bad))
    [ "$status" -ne 0 ] && [ "$bad" -eq 0 ] && bad=1
    passed=$((passed + (n > 0 ? n : 0))) failed=$((failed + bad))
}

e2e() {
    pytests e2e /usr/bin/python3 -m pytest tests/e2e -q -rs -p no:cacheprovider -n "${CHECK_JOBS:-6}" "$@"
}

programs=$(find "$build/unit" -type f -name '*_test' ! -path "*/${UNIT_EXCEPT:-}" -perm -u+x 2>/dev/null | sort)
for program in $programs; do unit "$program"; done
echo "unit: $passed passed, $failed failed in $(wc -w <<<"$programs") programs"
[ -n "$programs" ] || failed=$((failed + 1))

if /usr/bin/python3 tests/support/includes.py; then passed=$((passed + 1)); else failed=$((failed + 1)); fi

# The fuzz targets are of another build: coverage and valgrind leave them out.
[ -n "${CHECK_NO_FUZZ:-}" ] || fuzz

e2e "$@"

# Kills leave no account for coverage, and valgrind is too slow for them.
[ -n "${CHECK_NO_FAULT:-}" ] || pytests fault tests/fault/run.sh "$build"

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
