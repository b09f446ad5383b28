# Sourced by examples/demo: installs what is missing and builds build/release. Quiet unless something fails.
# Leaves holdfast_root (the project) and holdfast_build (where the programs are) behind.
holdfast_root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
holdfast_build=$holdfast_root/build/release

holdfast_step() {
    local log=$holdfast_root/build/prepare.log
    if ! "$@" >"$log" 2>&1; then
        cat "$log" >&2
        echo "holdfast: failed: $*" >&2
        exit 1
    fi
}

"$holdfast_root/cmake/install-dependencies.sh" || exit 1
mkdir -p "$holdfast_root/build"
[ -d "$holdfast_build" ] || echo "holdfast: building, this takes a minute" >&2
cd "$holdfast_root" || exit 1
holdfast_step cmake --preset release
holdfast_step cmake --build --preset release --target programs
