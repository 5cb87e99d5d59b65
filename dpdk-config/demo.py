#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The demonstration behind `quickstart.sh --demo`: a server on a TAP device in a network namespace
of its own, three devices, one push through the admin API, each arrival with its delay."""
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))

import harness  # noqa: E402

USERS = ("juliet", "romeo", "nurse")
ONLINE_SECONDS = 30
ARRIVAL_SECONDS = 10


def lines_until(process, word, count, seconds):
    """The next lines of that word; fewer when time is over or the process ends."""
    lines, end = [], time.monotonic() + seconds
    os.set_blocking(process.stdout.fileno(), False)
    while len(lines) < count and time.monotonic() < end:
        line = process.stdout.readline()
        if line.startswith(word):
            lines.append(line.split())
        elif not line and process.poll() is not None:
            break
        elif not line:
            time.sleep(0.005)
    return lines


def demonstrate(server):
    print("server: %s port 5222 on TAP device stn0, admin API on 127.0.0.1:7070, in network "
          "namespace %s" % (harness.ADDRESS, server.name))
    for user in USERS:
        server.add_user(user, "secret-of-" + user)
    print("accounts: " + ", ".join(USERS))
    phones = server.popen(
        [harness.PYTHON, os.path.join(ROOT, "dpdk-config", "phone.py"), "--count", "1",
         "--seconds", str(ONLINE_SECONDS + ARRIVAL_SECONDS)]
        + ["%s:secret-of-%s" % (user, user) for user in USERS],
        stdout=subprocess.PIPE, text=True)
    try:
        for line in lines_until(phones, "online", len(USERS), ONLINE_SECONDS):
            print("online:  " + line[1])
        count = server.api("GET", "/v1/sessions/count")
        if count["available"] != len(USERS):
            return "only %d of %d devices came online" % (count["available"], len(USERS))
        sent = time.time()
        push = server.api("POST", "/v1/pushes", {
            "target": {"all": True},
            "notification": {"title": "Hear", "body": "whose voice was as the voice of fifty"}})
        print("push:    %s to all" % push["id"])
        arrivals = lines_until(phones, "arrived", len(USERS), ARRIVAL_SECONDS)
        for line in arrivals:
            print("arrived: %-32s %.1f ms after the API call, id %s"
                  % (line[1], (float(line[2]) - sent) * 1000, line[3]))
        if len(arrivals) != len(USERS):
            return "only %d of %d devices got the push" % (len(arrivals), len(USERS))
        if any(line[3] != push["id"] for line in arrivals):
            return "a device got another id than the push has"
        phones.wait(10)
    finally:
        if phones.poll() is None:
            phones.kill()
            phones.wait()
    for _ in range(100):
        push = server.api("GET", "/v1/pushes/" + push["id"])
        if push["state"] == "done":
            break
        time.sleep(0.05)
    counts = push["counts"]
    print("counted: matched %d, written %d, acknowledged %d"
          % (counts["matched"], counts["written"], counts["acked_tcp"]))
    if (push["state"], counts["acked_tcp"]) != ("done", len(USERS)):
        return "the push did not settle: %s" % push
    code = server.stop()
    return None if code == 0 else "the server ended with %s:\n%s" % (code, server.log())


def main():
    try:
        with harness.Server() as server:
            reason = demonstrate(server)
    except (RuntimeError, OSError, subprocess.SubprocessError, harness.Problem) as fault:
        reason = "%s: %s" % (type(fault).__name__, fault)
    if reason is not None:
        print("failed: " + reason, file=sys.stderr)
        sys.exit(1)
    print("stopped and cleaned up")


if __name__ == "__main__":
    main()
