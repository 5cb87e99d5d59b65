#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# From a fresh Debian 12 to a running Stentor on a TAP device, in the foreground.
#   sudo dpdk-config/quickstart.sh          start; Ctrl-C stops it and removes the device
#   sudo dpdk-config/quickstart.sh --demo   three devices, one push, then stop and clean up
set -euo pipefail
. "$(dirname "${BASH_SOURCE[0]}")/lib.sh"

folder=$root/build/quickstart
address=10.99.0.2
kernel_address=10.99.0.1
server=

stop_server() {
    trap - EXIT INT TERM
    if [ -n "$server" ] && kill -0 "$server" 2>/dev/null; then
        kill -TERM "$server"
        wait "$server" || true
    fi
}

write_config() {
    mkdir -p "$folder"
    cat >"$folder/stentor.yml" <<EOF
# Every option: $root/build/stentor --print-config, and docs/LIMITS.md
server:
  data_dir: $folder/data
nic:
  device: tap:stn0
net:
  address: $address
xmpp:
  domain: stentor.local
EOF
}

# wait_for SECONDS WHAT COMMAND...
wait_for() {
    local tries=$(($1 * 20)) what=$2
    shift 2
    until "$@" >/dev/null 2>&1; do
        kill -0 "$server" 2>/dev/null || { cat "$folder/log" >&2; die "the server ended before $what was there"; }
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || { cat "$folder/log" >&2; die "$what did not appear"; }
        sleep 0.05
    done
}

start_server() {
    ! ip link show stn0 >/dev/null 2>&1 || die "a device named stn0 exists already: is Stentor running?"
    : >"$folder/log"
    "$root/build/stentor" --config "$folder/stentor.yml" >"$folder/log" 2>&1 &
    server=$!
    trap stop_server EXIT INT TERM
    wait_for 30 "the TAP device" ip link show stn0
    ip addr replace "$kernel_address/24" dev stn0
    ip link set stn0 up
    wait_for 30 "the admin API" curl -sf -m 2 http://127.0.0.1:7070/readyz
}

# The token is shown once by the server; this folder is where its reader here finds it again.
keep_token() {
    local token
    token=$(sed -n 's/^admin token (shown once): //p' "$folder/log")
    [ -z "$token" ] || (umask 077 && echo "$token" >"$folder/token")
    [ -s "$folder/token" ] || die "no admin token: remove $folder/data/admin.token.sha256 and start again"
}

show_way() {
    cat <<EOF

Stentor is running.
  clients  $address port 5222, domain stentor.local (no TLS yet: development only)
  admin    http://127.0.0.1:7070, token in $folder/token:
           $(cat "$folder/token")
  data     $folder/data      log  $folder/log

Try, in another terminal:
  echo secret | $root/build/stentorctl --token-file $folder/token user add juliet --password-stdin
  $root/dpdk-config/phone.py juliet:secret
  $root/build/stentorctl --token-file $folder/token push --all --title Hear --body 'Stentor speaks' --wait

Ctrl-C stops the server.
EOF
}

main() {
    case ${1:-} in
    '' | --demo) ;;
    --help | -h) exec sed -n '3,6s/^# \{0,1\}//p' "$0" ;;
    *) die "usage: $0 [--demo]" ;;
    esac
    need_root "$@"
    packages_install build demo
    echo "building"
    meson_arguments=()
    build_into "$root/build" stentor stentorctl
    if [ "${1:-}" = --demo ]; then
        exec /usr/bin/python3 -B "$root/dpdk-config/demo.py"
    fi
    write_config
    start_server
    keep_token
    show_way
    local code=0
    wait "$server" || code=$?
    trap - EXIT INT TERM
    exit "$code"
}

main "$@"
