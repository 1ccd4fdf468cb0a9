#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs all tests of a build made with --coverage, unit and end-to-end, into one account. Prints how many lines of each
# file and of all daemon/ were reached, and which were not, and keeps that in BUILD/uncovered.txt. Fails under 90 %, or
# when a test fails. A process that ends by SIGKILL leaves no account; a child of vfork counts in its parent's.
# usage: coverage.sh BUILD [pytest arguments]
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${1:?usage: coverage.sh BUILD [pytest arguments]}
shift

# The account's files, empty: daemons that tests run as other users write to them too.
find "$build" -name '*.gcda' -delete
find "$build" -name '*.gcno' | while read -r notes; do
    : >"${notes%.gcno}.gcda"
    chmod 666 "${notes%.gcno}.gcda"
done

CHECK_NO_FUZZ=1 CHECK_NO_FAULT=1 tests/support/check.sh "$build" "$@"
status=$?

gcovr --root . --filter daemon/ --object-directory "$build" --txt "$build/uncovered.txt" --fail-under-line 90 \
    "$build" || status=1
cat "$build/uncovered.txt"
exit "$status"
