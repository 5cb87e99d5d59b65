#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Everything this machine can prove, bottom floor first.
#   sudo tests/run.sh            all: gcc and clang with sanitizers, tidy, unit, fuzz, sim, wire, interop
#   sudo tests/run.sh --quick    tidy, unit and sim by gcc: under 3 minutes
# Ends with one line "N passed, N failed, N skipped"; exit 0 when nothing failed. What is installed
# by apt or npm stays; folders build, build-sanitize and build-fuzz are made in the clone.
set -uo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/../dpdk-config/lib.sh"

passed=0
failed=0
skipped=0
began=$SECONDS
export PYTHONDONTWRITEBYTECODE=1

stage() {
    printf '\n== %s (%d s so far)\n' "$1" $((SECONDS - began))
}

count() { # count STATUS NAME [WHY]
    case $1 in
    ok) passed=$((passed + 1)) ;;
    skip) skipped=$((skipped + 1)) && echo "skip $2: $3" ;;
    *) failed=$((failed + 1)) && echo "FAIL $2${3:+: $3}" ;;
    esac
}

# meson_suites FOLDER SUITE...: every test of the suites counts by itself.
meson_suites() {
    local folder=$1 suite name result arguments=()
    shift
    for suite in "$@"; do arguments+=(--suite "$suite"); done
    meson test -C "$folder" --no-rebuild --print-errorlogs --timeout-multiplier "${multiplier:-1}" \
        "${arguments[@]}" 2>&1 | grep -v '^ninja\|^$\|^Full log'
    while IFS=$'\t' read -r name result; do
        case $result in
        OK | EXPECTEDFAIL) count ok "$name" ;;
        SKIP) count skip "$name" "it says why in $folder/meson-logs/testlog.txt" ;;
        *) count fail "$folder $name" "$result" ;;
        esac
    done < <(jq -r '[.name, .result] | @tsv' "$folder/meson-logs/testlog.json")
}

# scripted NAME COMMAND...: lines "ok NAME", "FAIL NAME", "skip NAME: why" count by themselves.
scripted() {
    local name=$1 line seen=0 code output
    shift
    output=$(mktemp)
    timeout 900 "$@" 2>&1 | tee "$output"
    code=${PIPESTATUS[0]}
    while read -r line; do
        set -- $line
        case $1 in
        ok) count ok "$2" ;;
        FAIL) failed=$((failed + 1)) ;;
        skip) skipped=$((skipped + 1)) ;;
        *) continue ;;
        esac
        seen=$((seen + 1))
    done <"$output"
    rm -f "$output"
    if [ "$seen" = 0 ]; then
        count fail "$name" "it ran no case (exit $code)"
    elif [ "$code" -gt 1 ]; then
        count fail "$name" "it ended with $code"
    fi
}

floors=(base core nic xml tls store net xmpp session push admin server ctl wire)

quick() {
    stage "build by gcc"
    (meson_arguments=() && build_into "$root/build" all) || { count fail "build by gcc" && return 1; }
    count ok "build by gcc"
    stage "tidy"
    meson_suites "$root/build" tidy
    stage "unit tests, bottom floor first"
    meson_suites "$root/build" "${floors[@]}"
    stage "simulator: whole server and phones under a virtual clock"
    meson_suites "$root/build" sim
    stage "scripts of segments in virtual time"
    scripted script "$root/build/tests/script/script_run" "$root/tests/script/cases"
}

sanitized() {
    stage "build by clang with address and undefined-behaviour sanitizers"
    (export CC=clang-14 && meson_arguments=(-Db_sanitize=address,undefined -Db_lundef=false
        -Dheap=libc) && build_into "$root/build-sanitize" all) ||
        { count fail "build by clang" && return 1; }
    count ok "build by clang"
    stage "unit tests and simulator under the sanitizers"
    multiplier=5 meson_suites "$root/build-sanitize" "${floors[@]}" sim script
}

fuzzed() {
    stage "fuzz targets, a bounded time each"
    (export CC=clang-14 && meson_arguments=(-Dfuzz=true -Db_lundef=false -Dheap=libc
        -Db_sanitize=address,undefined -Dc_args=-fsanitize=fuzzer-no-link) &&
        build_into "$root/build-fuzz" tests/fuzz/{config,frame,sequence,xml,jid,sasl,http}_fuzz) ||
        { count fail "build of the fuzz targets" && return 1; }
    multiplier=5 meson_suites "$root/build-fuzz" fuzz
}

# counted NAME COMMAND...: one case, ok when it ends with 0.
counted() {
    local name=$1
    shift
    if timeout 600 "$@"; then count ok "$name"; else count fail "$name" "$* ended with $?"; fi
}

simulated() {
    stage "simulator at length: two TCP stacks on a bad wire, seeds nobody has tried"
    local from=$((RANDOM * 100000 + 100000))
    counted seeds "$root/build/stentor-sim" --seeds 2000 --json
    counted tcp-seeds "$root/build/stentor-sim" --world tcp --seeds 20000 --from "$from" --json
    counted tcp-scripts "$root/build/stentor-sim" --scripts 100000 --from "$from"
}

interop() {
    stage "wire: the Linux kernel as the peer over TAP"
    scripted wire /usr/bin/python3 "$root/tests/wire/linux_peer.py"
    stage "wire: the Linux kernel as the peer in IPv6 and on a VLAN"
    scripted wire-ipv6 /usr/bin/python3 "$root/tests/wire/ipv6_peer.py"
    stage "wire: Linux and Stentor over bad networks"
    scripted wire-matrix /usr/bin/python3 "$root/tests/wire/linux_matrix.py"
    stage "differential: the same scripts into the Linux kernel over TUN"
    scripted differential /usr/bin/python3 "$root/tests/script/differential.py"
    stage "interop: real client libraries over TAP"
    scripted interop /usr/bin/python3 "$root/tests/interop/clients.py"
    stage "interop: start, stop, death, full disks"
    scripted life /usr/bin/python3 "$root/tests/interop/life.py"
    stage "interop: accounts that change during a login"
    scripted locked-out /usr/bin/python3 "$root/tests/interop/locked_out.py"
    stage "interop: bad input over TAP"
    scripted bad-input /usr/bin/python3 "$root/tests/interop/bad_input.py"
    stage "quickstart.sh --demo"
    if "$root/dpdk-config/quickstart.sh" --demo; then count ok demo; else count fail demo; fi
}

finish() {
    printf '\n%d s\n' $((SECONDS - began))
    echo "$passed passed, $failed failed, $skipped skipped"
    [ "$failed" = 0 ] && [ "$passed" -gt 0 ]
    exit
}

case ${1:-} in
'' | --quick) ;;
*) die "usage: $0 [--quick]" ;;
esac
need_root "$@"
if [ "${1:-}" = --quick ]; then
    packages_install build demo
    quick
    finish
fi
packages_install build demo test
quick && simulated && sanitized && fuzzed && interop
finish
