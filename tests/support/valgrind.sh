#!/bin/bash
# SPDX-License-Identifier: MIT
# Memcheck over a build's unit programs and over some end-to-end stories; any error or definite leak is a failure.
# usage: valgrind.sh BUILD
set -u
cd "$(dirname "$0")/../.." || exit 1
build=$PWD/${1:?usage: valgrind.sh BUILD}

stories='test_main_job and not malformed or test_reload or test_a_fault_of_the_network or test_a_proxy_is_used'
memcheck="valgrind --quiet --error-exitcode=99 --leak-check=full --show-leak-kinds=definite"
memcheck+=" --errors-for-leak-kinds=definite"

# Valgrind, which runs programs in the kernel's place, does not survive what this one shows.
export UNIT_EXCEPT=loop/child_exec_test

# The daemon's errors go to its log, and its status tells of them.
cat >"$build/memcheck" <<END
#!/bin/sh
exec $memcheck $build/cvnotifyd "\$@"
END
chmod 755 "$build/memcheck"

CHECK_NO_FUZZ=1 CHECK_NO_FAULT=1 UNIT_UNDER=$memcheck UNIT_TIMEOUT=900 CVNOTIFYD=$build/memcheck CHECK_JOBS=2 \
    exec tests/support/check.sh "$build" -k "$stories"
