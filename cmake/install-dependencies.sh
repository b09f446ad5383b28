#!/bin/bash
# Installs what Holdfast is built and tested with, from the packages of Debian 12. Does nothing when all is there.
set -eu

packages=(
    # compiler and build
    gcc libc6-dev cmake ninja-build pkg-config python3
    # libraries
    libev-dev libsodium-dev libprotobuf-c-dev protobuf-c-compiler libhiredis-dev
    # tests: cases, style, fuzzing, models, memory
    libcmocka-dev clang libclang-rt-dev clang-format spin valgrind libc6-dbg
    # demo and network tests: namespaces, cuts, a client, an input file
    iproute2 nftables util-linux procps redis-tools unicode-data
)

missing=()
if command -v dpkg-query >/dev/null; then
    installed=$(dpkg-query -W -f '${db:Status-Abbrev} ${Package}\n' 2>/dev/null | sed -n 's/^ii *//p')
    for package in "${packages[@]}"; do
        grep -qx -- "$package" <<<"$installed" || missing+=("$package")
    done
else
    missing=("${packages[@]}")
fi
[ ${#missing[@]} -gt 0 ] || exit 0

give_up() {
    echo "holdfast: $1" >&2
    echo "holdfast: as root, on Debian 12, run: apt-get install ${missing[*]}" >&2
    exit 1
}

command -v apt-get >/dev/null || give_up "packages are missing, and there is no apt-get to install them with"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    command -v sudo >/dev/null || give_up "packages are missing; this is not root, and there is no sudo"
    # Without a terminal sudo cannot ask for a password.
    [ -t 0 ] || sudo -n true 2>/dev/null || give_up "packages are missing; this is not root, and sudo wants a password"
    as_root=(sudo)
fi

echo "holdfast: installing ${missing[*]}" >&2
"${as_root[@]}" apt-get update -q >&2 || give_up "apt-get update failed"
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "${missing[@]}" >&2 ||
    give_up "apt-get install failed"
