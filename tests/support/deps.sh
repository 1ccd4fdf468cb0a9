#!/bin/bash
# SPDX-License-Identifier: MIT
# Installs what building, checking and the demo need on Debian 12, where something is missing: Debian's
# packages, as root, and Azurite from npm into tests/node_modules. Says what to do where it can not.
# usage: deps.sh [clang | coverage | fuzz | machine | tidy | valgrind] ...: also what these targets of make need;
# machine is check-systemd's.
set -u
cd "$(dirname "$0")/.." || exit 1

build=(pkg-config libevent-dev libcurl4-openssl-dev libyajl-dev libexpat1-dev libyaml-dev libsqlite3-dev libsystemd-dev libssl-dev)
check=(libcmocka-dev mandoc python3 python3-pytest python3-pytest-xdist python3-azure-storage
       python3-cryptography rsyslog openssl sqlite3 systemd iproute2 util-linux libfaketime e2fsprogs)

declare -A extra=([clang]="clang" [coverage]="gcovr" [fuzz]="clang libclang-rt-14-dev"
                  [machine]="debootstrap systemd-container"
                  [tidy]="clang-format clang-tidy cppcheck" [valgrind]="valgrind")
for target in "$@"; do
    read -ra more <<<"${extra[$target]:?deps: no such target}"
    check+=("${more[@]}")
done

missing_packages() {
    local name
    for name in "${build[@]}" "${check[@]}"; do
        [ "$(dpkg-query -W -f '${db:Status-Status}' "$name" 2>/dev/null)" = installed ] || echo "$name"
    done
    command -v cc >/dev/null || echo gcc
    command -v node >/dev/null || echo nodejs
    command -v npm >/dev/null || echo npm
}

install_packages() {
    local missing
    if ! command -v dpkg-query >/dev/null; then
        echo "deps: this is no Debian: install the likes of ${build[*]} ${check[*]} by hand" >&2
        return 1
    fi
    mapfile -t missing < <(missing_packages)
    [ ${#missing[@]} -eq 0 ] && return 0
    echo "deps: missing: ${missing[*]}"
    if [ "$(id -u)" -ne 0 ]; then
        echo "deps: as root, do: apt-get install ${missing[*]}" >&2
        return 1
    fi
    export DEBIAN_FRONTEND=noninteractive
    apt-get -o Acquire::Retries=3 update -qq || echo "deps: apt-get update failed; trying with the lists that are here" >&2
    if ! apt-get -o Acquire::Retries=3 install -y -qq --no-install-recommends "${missing[@]}" </dev/null; then
        echo "deps: apt-get could not install ${missing[*]}: see its words above" >&2
        return 1
    fi
}

# The lock file beside what was installed from it tells whether that is still current.
install_azurite() {
    cmp -s package-lock.json node_modules/.installed-lock && [ -x node_modules/.bin/azurite ] && return 0
    echo "deps: installing Azurite into tests/node_modules"
    if ! npm ci --ignore-scripts --no-audit --no-fund --loglevel=error --fetch-retries=5 </dev/null; then
        echo "deps: npm could not install Azurite; to try by hand: npm ci --prefix tests" >&2
        return 1
    fi
    cp package-lock.json node_modules/.installed-lock
}

install_packages && install_azurite
