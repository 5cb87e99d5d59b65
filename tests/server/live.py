#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A server on threads over TAP, driven by every verb of stentorctl: what the simulator, which steps
the server by hand and has no HTTP, does not reach. Needs root; run by live_test.c."""
import json
import os
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))

import harness  # noqa: E402


class Ctl:
    """stentorctl inside the server's namespace."""

    def __init__(self, server):
        self.server = server
        self.token = os.path.join(server.folder, "token")
        with open(self.token, "w", encoding="utf-8") as file:
            os.fchmod(file.fileno(), 0o600)
            file.write(server.token + "\n")

    def __call__(self, *words, code=0, stdin=None):
        done = subprocess.run(
            self.server.command([os.path.join(self.server.build, "stentorctl"), "--token-file",
                                 self.token] + list(words)),
            input=stdin, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60,
            check=False)
        assert done.returncode == code, (words, done.returncode, done.stdout)
        return done.stdout

    def json(self, *words):
        return json.loads(self(*words, "--json"))


def wait_until(what, holds, seconds=15):
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "in vain until " + what
        time.sleep(0.05)


def phone(server, *accounts, count=0):
    return server.popen(
        [harness.PYTHON, "-B", os.path.join(ROOT, "dpdk-config", "phone.py"), "--seconds", "40",
         "--count", str(count)] + list(accounts),
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)


def accounts(ctl):
    ctl("user", "add", "juliet", "--password-stdin", stdin="first\n")
    ctl("user", "add", "juliet", "--password-stdin", stdin="again\n", code=1)
    ctl("user", "add", "romeo", "--password-stdin", stdin="secret\n")
    assert ctl.json("user", "show", "juliet")["number"] == 1
    names = [user["username"] for user in ctl.json("user", "list")["items"]]
    assert names == ["juliet", "romeo"], names
    page = ctl.json("user", "list", "--limit", "1")
    assert page["next"] == "juliet", page
    assert "romeo" in ctl("user", "list", "--cursor", "juliet")
    ctl("user", "show", "nobody", code=1)
    ctl("user", "passwd", "juliet", "--password-stdin", stdin="second\n")


def nobody_there(ctl):
    """A push ends though no worker ever had a connection."""
    push = ctl.json("push", "--all", "--title", "T", "--body", "B", "--wait")
    assert push["state"] == "done", push
    assert push["counts"]["failed"]["offline"] == 2 == push["counts"]["matched"], push


def sessions(server, ctl):
    refused = phone(server, "juliet:first", count=1)
    assert refused.wait(20) == 1, "the old password still opens"
    both = phone(server, "juliet:second", "romeo:secret")
    wait_until("two are available", lambda: ctl.json("count")["available"] == 2)
    rows = ctl.json("sessions")["items"]
    assert sorted(row["user"] for row in rows) == ["juliet", "romeo"], rows
    page = ctl.json("sessions", "--limit", "1")
    rest = ctl.json("sessions", "--limit", "1", "--cursor", page["next"])
    assert {page["items"][0]["user"], rest["items"][0]["user"]} == {"juliet", "romeo"}
    row = ctl.json("sessions", "--user", "juliet")["items"][0]
    shown = ctl.json("session", "show", row["id"])
    assert any("bind" in line for line in shown["trace"]), shown
    assert "juliet" in ctl("conn", row["id"])
    push = ctl.json("push", "--all", "--title", "T", "--body", "B", "--wait")
    assert push["counts"]["acked_tcp"] == 2 and push["state"] == "done", push
    ctl("push", "--users", "juliet,nobody", "--title", "T", code=1)
    assert ctl.json("pushes", push["id"])["id"] == push["id"]
    assert push["id"] in ctl("pushes")
    ctl("kick", row["id"])
    wait_until("the kicked one is gone",
               lambda: not any(s["id"] == row["id"] for s in ctl.json("sessions")["items"]))
    ctl("user", "disable", "romeo")
    wait_until("the locked one is gone",
               lambda: not ctl.json("sessions", "--user", "romeo")["items"])
    both.kill()
    both.wait()
    locked = phone(server, "romeo:secret", count=1)
    assert locked.wait(20) == 1, "a disabled account logged in"
    ctl("user", "enable", "romeo")
    back = phone(server, "romeo:secret")
    wait_until("romeo is back", lambda: ctl.json("sessions", "--user", "romeo")["items"])
    ctl("user", "remove", "romeo")
    wait_until("a removed account's session is gone",
               lambda: not ctl.json("sessions", "--user", "romeo")["items"])
    back.kill()
    back.wait()


def privileges(server):
    """CAP_NET_ADMIN (bit 12) alone is kept on a TAP device, and nothing can be gained."""
    with open("/proc/%d/status" % server.pid(), encoding="utf-8") as file:
        status = dict(line.rstrip("\n").split(":\t", 1) for line in file if ":\t" in line)
    assert int(status["CapEff"], 16) == 1 << 12, status["CapEff"]
    assert status["NoNewPrivs"].strip() == "1", status["NoNewPrivs"]


def main():
    with harness.Server(options={"server.workers": 2}) as server:
        ctl = Ctl(server)
        ctl("ready")
        ctl("health")
        assert 'stentor_streams{state="bound"}' in ctl("metrics")
        assert ctl("version").startswith("stentorctl")
        privileges(server)
        accounts(ctl)
        nobody_there(ctl)
        sessions(server, ctl)
        code = server.stop()
        assert code == 0, code
        ctl("ready", code=3)
        token = server.token
        server.start()
        assert server.token == token
        assert ctl.json("user", "show", "juliet")["number"] == 1
        os.remove(ctl.token)


if __name__ == "__main__":
    main()
