# SPDX-License-Identifier: Apache-2.0
# Shell functions that quickstart.sh and tests/run.sh share. Sourced, not run.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() {
    echo "error: $*" >&2
    exit 1
}

need_root() {
    [ "$(id -u)" = 0 ] || die "this needs root (a TAP device, network namespaces): sudo $0 $*"
}

# packages_missing KIND...: the packages of those kinds that are not installed.
packages_missing() {
    local kind name what
    while read -r what name; do
        for kind in "$@"; do
            [ "$what" = "$kind" ] || continue
            # Another build of the same tool serves as well.
            case $name in nodejs | npm) command -v "${name/nodejs/node}" >/dev/null && continue ;; esac
            dpkg-query -W -f '${Status}' "$name" 2>/dev/null | grep -q 'ok installed' || echo "$name"
        done
    done < <(grep -v '^#' "$root/dpdk-config/packages.txt")
}

# packages_install KIND...: installs what is missing; silent when nothing is.
packages_install() {
    local missing
    mapfile -t missing < <(packages_missing "$@")
    [ ${#missing[@]} = 0 ] && return 0
    echo "installing ${#missing[@]} Debian packages: ${missing[*]}"
    command -v apt-get >/dev/null || die "not Debian: install these by hand: ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y \
        --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 20 "$log" >&2
        rm -f "$log"
        die "apt-get could not install them (its last lines are above)"
    fi
    rm -f "$log"
}

# build_into FOLDER TARGETS...: configures once, then builds; output only when it fails.
# Arguments for meson come in the array meson_arguments, the compiler in CC.
build_into() {
    local folder=$1 log
    shift
    log=$(mktemp)
    if [ ! -f "$folder/build.ninja" ] &&
        ! meson setup "$folder" "$root" "${meson_arguments[@]}" >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        rm -rf "$log" "$folder"
        die "meson could not configure $folder"
    fi
    if ! ninja -C "$folder" "$@" >"$log" 2>&1; then
        grep -E -A 6 'error|FAILED|undefined' "$log" | head -n 60 >&2
        rm -f "$log"
        die "the build in $folder failed"
    fi
    rm -f "$log"
}
