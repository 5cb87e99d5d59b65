#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Three real client libraries over TAP: slixmpp, libstrophe, @xmpp/client. Each phone is a process
driven by lines: `send TAB to TAB body`, ping, disco, version, quit on its stdin; `online TAB jid`,
`message TAB ...`, the answers' names, `stream-error TAB condition`, `closed` on its stdout."""
import os
import queue
import shutil
import subprocess
import sys
import threading
import time

import harness
from harness import DOMAIN, ROOT, Skip

HERE = os.path.dirname(os.path.abspath(__file__))
TEXT = "Grüße <&> \"'\" 日本語 🎭"
KINDS = ("slixmpp", "strophe", "xmppjs")
SERVER = None


class Phone:
    def __init__(self, kind, user, resource):
        account = "%s@%s/%s" % (user, DOMAIN, resource)
        if kind == "slixmpp":
            command = [harness.PYTHON, "-B", os.path.join(HERE, "slixmpp_client.py"), account,
                       "secret", harness.ADDRESS]
        elif kind == "strophe":
            command = [strophe_program(), account, "secret", harness.ADDRESS]
        else:
            command = ["node", os.path.join(HERE, "xmppjs_client.mjs"), node_folder(),
                       "%s/%s" % (user, resource), "secret", harness.ADDRESS, DOMAIN]
        self.process = SERVER.popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                    stderr=subprocess.DEVNULL)
        self.lines = queue.Queue()
        self.seen = []
        threading.Thread(target=self._read, daemon=True).start()
        self.jid = self.wait("online")[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.decode().rstrip("\n").split("\t"))

    def tell(self, *words):
        self.process.stdin.write(("\t".join(words) + "\n").encode())
        self.process.stdin.flush()

    def wait(self, word, seconds=20):
        """The next line of that word."""
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(end - time.monotonic(), 0.01))
            except queue.Empty:
                raise AssertionError("no '%s' came, but %s" % (word, self.seen)) from None
            self.seen.append(line)
            if line[0] == word:
                return line


def strophe_program():
    program = os.path.join(SERVER.build, "strophe_client")
    if not os.path.exists(program):
        flags = subprocess.run(["pkg-config", "--cflags", "--libs", "libstrophe"], check=True,
                               stdout=subprocess.PIPE, text=True).stdout.split()
        subprocess.run(["cc", "-O1", "-o", program, os.path.join(HERE, "strophe_client.c")] + flags,
                       check=True)
    return program


def node_folder():
    folder = os.path.join(SERVER.build, "interop-node")
    if not os.path.isdir(os.path.join(folder, "node_modules", "@xmpp", "client")):
        os.makedirs(folder, exist_ok=True)
        shutil.copy(os.path.join(HERE, "package.json"), folder)
        subprocess.run(["npm", "install", "--no-package-lock", "--no-audit", "--no-fund",
                        "--silent"], cwd=folder, check=True, timeout=240)
    return folder


def push_arrives(kind):
    def case():
        with Phone(kind, "juliet", kind) as phone:
            SERVER.api("POST", "/v1/pushes", {"target": {"users": ["juliet"]},
                                              "notification": {"title": "Hear", "body": TEXT}})
            assert TEXT in "\t".join(phone.wait("message")), phone.seen
            for verb, answer in (("ping", "pong"), ("disco", "disco"), ("version", "version")):
                phone.tell(verb)
                phone.wait(answer)
            time.sleep(0.3)
            assert sum(line[0] == "message" for line in phone.seen) == 1, phone.seen
            assert all(line[0] != "message" for line in list(phone.lines.queue))
            phone.tell("quit")
            phone.process.wait(15)
        harness.until(lambda: SERVER.api("GET", "/v1/sessions/count")["connections"] == 0,
                      "the connection is gone")
    return case


def talk(one, other):
    def case():
        with Phone(one, "juliet", "one") as juliet, Phone(other, "romeo", "two") as romeo:
            juliet.tell("send", romeo.jid, TEXT)
            assert TEXT in "\t".join(romeo.wait("message"))
            romeo.tell("send", "juliet@" + DOMAIN, TEXT)
            assert TEXT in "\t".join(juliet.wait("message"))
    return case


def conflict():
    with Phone("slixmpp", "juliet", "same") as old, Phone("strophe", "juliet", "same") as new:
        old.wait("closed")
        new.tell("ping")
        new.wait("pong")


def main():
    global SERVER
    failed = 0
    for workers in (1, 2):
        cases = [("push-%s-%d-workers" % (kind, workers), push_arrives(kind)) for kind in KINDS]
        cases += [("talk-%s-%s-%d-workers" % (one, other, workers), talk(one, other))
                  for one, other in zip(KINDS, KINDS[1:] + KINDS[:1])]
        cases += [("conflict-%d-workers" % workers, conflict)]
        with harness.Server(options={"server.workers": workers}) as SERVER:
            for user in ("juliet", "romeo"):
                SERVER.add_user(user, "secret")
            failed |= harness.main(cases)
    return failed


if __name__ == "__main__":
    sys.exit(main())
