#!/bin/bash
# SPDX-License-Identifier: MIT
# The fault bench: the short part, or with FAULT=long the long one. Kills and faults are those of BUILD's daemon, with
# its sanitizers; what needs a preloaded library, or measures memory, is the release build's. Sizes and the seed:
# sizes.py.
# usage: run.sh BUILD [pytest arguments]
set -u
cd "$(dirname "$0")/../.." || exit 1
build=${1:?usage: run.sh BUILD [pytest arguments]}
shift
export ASAN_OPTIONS=${ASAN_OPTIONS:-detect_leaks=1:strict_string_checks=1:detect_stack_use_after_return=1}
export UBSAN_OPTIONS=${UBSAN_OPTIONS:-print_stacktrace=1}
export PYTHONDONTWRITEBYTECODE=1
export CVNOTIFYD=$PWD/$build/cvnotifyd
exec /usr/bin/python3 -m pytest tests/fault -q -rs -p no:cacheprovider -n "${CHECK_JOBS:-4}" "$@"
