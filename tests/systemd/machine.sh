#!/bin/bash
# SPDX-License-Identifier: MIT
# Runs the tests beside this file in a Debian 12 of their own, with systemd as its process 1. The Debian is
# made once by debootstrap and kept in build/systemd/root; cvnotifyd is installed into it anew. It is booted
# by systemd-nspawn over a layer in memory, so that a run leaves nothing behind, with a network of its own,
# so that nothing leaves this machine. Ends on one line, `N passed, N failed`; status 0 when all passed.
# usage: machine.sh [pytest arguments]
set -u
cd "$(dirname "$0")/../.." || exit 1
root=$PWD/build/systemd/root
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
packages=systemd,systemd-sysv,dbus,python3,libffi8,libstdc++6
packages+=,libcurl4,libevent-core-2.1-7,libyajl2,libexpat1,libyaml-0-2,libsqlite3-0,libsystemd0,libssl3

die() {
    echo "check-systemd: $*" >&2
    exit 1
}

[ "$(id -u)" -eq 0 ] || die "needs root, to boot a Debian: sudo make check-systemd"
node=$(readlink -f "$(command -v node)") || die "there is no node to run the storage service with"
# Debian's own node has a library of its own; others are one file.
if ldd "$node" | grep -q libnode; then
    packages+=,nodejs node_bind=()
else
    node_bind=(--bind-ro="$node:/usr/local/bin/node")
fi

# A Debian, made from scratch when the list of packages has changed. $root.made is that list.
make_root() {
    [ "$(cat "$root.made" 2>/dev/null)" = "$packages" ] && return
    echo "check-systemd: making a Debian in build/systemd/root: a minute or three"
    rm -rf "$root" "$root.made"
    mkdir -p "$root"
    debootstrap --variant=minbase --include="$packages" bookworm "$root" "$mirror" \
        </dev/null >"$root.log" 2>&1 || die "debootstrap failed; its last words:" "$(tail -n 5 "$root.log")"
    rm -f "$root"/var/cache/apt/archives/*.deb
    echo "$packages" >"$root.made"
}

# Takes the last installation away, whatever it was, and puts this one there.
install_into_root() {
    rm -rf "$root"/etc/cvnotifyd
    make -s -o all uninstall install DESTDIR="$root" >"$root.log" 2>&1 ||
        die "make install failed:" "$(tail -n 5 "$root.log")"
    install -D -m 0644 tests/systemd/tests.service "$root/etc/systemd/system/tests.service"
    ln -sf ../tests.service "$root/etc/systemd/system/multi-user.target.wants/tests.service"
    # The console is the tests'.
    ln -sf /dev/null "$root/etc/systemd/system/console-getty.service"
    mkdir -p "$root/etc/systemd/system.conf.d"
    printf '[Manager]\nShowStatus=no\nLogTarget=journal\n' >"$root/etc/systemd/system.conf.d/quiet.conf"
}

# Becomes the machine, which halts when this script is gone.
boot() {
    exec 9>&-
    export SYSTEMD_NSPAWN_UNIFIED_HIERARCHY=1
    exec setpriv --pdeathsig TERM -- timeout --foreground -k 15 "${LIMIT_S:-300}" \
        systemd-nspawn -q -D "$root" --volatile=overlay --private-network --register=no --keep-unit \
        --resolv-conf=off --timezone=off \
        --bind-ro="$PWD/tests:/tests" --bind-ro=/usr/lib/python3/dist-packages "${node_bind[@]}" \
        --setenv=PYTEST_ADDOPTS="$*" -b -- --log-target=journal </dev/null
}

# The sum of pytest's last line, or of nothing when the machine did not come so far.
count() { grep -oE "[0-9]+ ($1)" <<<"$last" | awk '{ n += $1 } END { print n + 0 }'; }

mkdir -p "${root%/*}"
exec 9>"$root.lock"
flock 9
make_root
install_into_root
colour=no
[ -t 1 ] && colour=yes
boot --color=$colour "$@" | sed -u '/^Sending SIG/d; /^All filesystems/d; /^Exiting container/d' | tee "$root.log"
status=${PIPESTATUS[0]}
last=$(grep -E '^=.* in [0-9.]+s' <(sed 's/\x1b\[[0-9;]*m//g' "$root.log") | tail -n 1)
passed=$(count passed) failed=$(count 'failed|errors?')
[ "$status" -eq 0 ] || [ "$failed" -gt 0 ] || failed=1
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ] && [ "$passed" -gt 0 ]
