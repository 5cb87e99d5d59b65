#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Three real client libraries over TAP: slixmpp, libstrophe, @xmpp/client, with one and two workers.

Each phone is a process driven by lines, fields apart by TAB. Its stdin: `send TO BODY`, `ping`,
`disco`, `version`, `quit`. Its stdout: `online JID`, `message FROM ID SUBJECT BODY`, `pong`,
`disco FEATURES`, `version NAME`, `registered USER`, `failed WHAT [CONDITION]`,
`stream-error CONDITION`, `closed`."""
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
    def __init__(self, kind, user, resource, *flags, first="online"):
        account = "%s@%s/%s" % (user, DOMAIN, resource)
        if kind == "slixmpp":
            command = [harness.PYTHON, "-B", os.path.join(HERE, "slixmpp_client.py"), *flags,
                       account, "secret", harness.ADDRESS]
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
        self.first = self.wait(first)
        self.jid = self.first[1]
        if first == "online":
            # Answered in order, so the server has its presence: before, a push passes it by.
            self.tell("ping")
            self.wait("pong")

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


def scram_count():
    values = SERVER.metrics()
    return sum(value for name, value in values.items()
               if name.startswith("stentor_xmpp_authenticated_total") and "SCRAM" in name)


def at_rest():
    harness.until(lambda: SERVER.api("GET", "/v1/sessions/count")["connections"] == 0,
                  "every connection is gone")


def asks(phone):
    """Ping, service discovery, version."""
    phone.tell("ping")
    phone.wait("pong")
    phone.tell("disco")
    features = phone.wait("disco")[1].split()
    for feature in ("http://jabber.org/protocol/disco#info", "urn:xmpp:ping", "jabber:iq:version"):
        assert feature in features, features
    phone.tell("version")
    assert phone.wait("version")[1] == "Stentor"


def whole_visit(kind):
    """In by SCRAM, a push once and unchanged, questions, out by the closing handshake."""
    def case():
        scram = scram_count()
        done = SERVER.metric('stentor_tcp_closed_total{why="done"}')
        with Phone(kind, "juliet", kind) as phone:
            assert phone.jid == "juliet@%s/%s" % (DOMAIN, kind), phone.jid
            assert scram_count() == scram + 1, "it did not authenticate by SCRAM"
            push = SERVER.api("POST", "/v1/pushes", {
                "target": {"users": ["juliet"]}, "notification": {"title": TEXT, "body": "«1»"}})
            message = phone.wait("message")
            assert message == ["message", DOMAIN, push["id"], TEXT, "«1»"], message
            asks(phone)
            time.sleep(0.2)
            messages = [line for line in phone.seen + list(phone.lines.queue)
                        if line[0] == "message"]
            assert len(messages) == 1, messages
            phone.tell("quit")
            phone.wait("closed")
            phone.process.wait(15)
        at_rest()
        assert SERVER.metric('stentor_tcp_closed_total{why="done"}') == done + 1, "no clean end"
    return case


def talk(one, other):
    """Both ways, to the full and to the bare address, nothing changed on the way."""
    def case():
        with Phone(one, "juliet", "one") as juliet, Phone(other, "romeo", "two") as romeo:
            juliet.tell("send", romeo.jid, TEXT)
            message = romeo.wait("message")
            assert (message[1], message[4]) == (juliet.jid, TEXT), message
            romeo.tell("send", "juliet@" + DOMAIN, TEXT * 50)
            message = juliet.wait("message")
            assert (message[1], message[4]) == (romeo.jid, TEXT * 50), message
        at_rest()
    return case


def conflict(kind, newer):
    """The newest login of a full address wins (RFC 6120 7.7.2.2)."""
    def case():
        with Phone(kind, "juliet", "same") as old, Phone(newer, "juliet", "same") as new:
            assert old.wait("stream-error")[1] == "conflict"
            old.wait("closed")
            new.tell("ping")
            new.wait("pong")
        at_rest()
    return case


def kick():
    with Phone("strophe", "juliet", "kicked") as phone, Phone("slixmpp", "romeo", "r") as other:
        rows = SERVER.api("GET", "/v1/sessions?user=juliet")["items"]
        SERVER.api("DELETE", "/v1/sessions/" + rows[0]["id"])
        assert phone.wait("stream-error")[1] == "policy-violation"
        phone.wait("closed")
        other.tell("ping")
        other.wait("pong")
    at_rest()


def user_deleted():
    SERVER.add_user("mercutio", "secret")
    with Phone("xmppjs", "mercutio", "one") as one, Phone("strophe", "mercutio", "two") as two:
        SERVER.api("DELETE", "/v1/users/mercutio")
        for phone in (one, two):
            phone.wait("stream-error")
            phone.wait("closed")
    at_rest()
    with Phone("slixmpp", "mercutio", "three", first="failed"):
        pass
    at_rest()


def registration_off():
    with Phone("slixmpp", "tybalt", "one", "--register", first="failed") as phone:
        assert phone.first[1:] == ["register", "service-unavailable"], phone.first
    try:
        SERVER.api("GET", "/v1/users/tybalt")
    except harness.Problem as problem:
        assert problem.status == 404
    else:
        raise AssertionError("the account exists")
    at_rest()


def registration_on():
    before = SERVER.metric("stentor_xmpp_registrations_total")
    with Phone("slixmpp", "tybalt", "one", "--register", first="registered") as phone:
        phone.wait("online")
    assert SERVER.metric("stentor_xmpp_registrations_total") == before + 1
    with Phone("strophe", "tybalt", "two"):
        pass
    with Phone("slixmpp", "tybalt", "one", "--register", first="failed") as phone:
        assert phone.first[1:] == ["register", "conflict"], phone.first
    at_rest()


def cases_of(workers):
    pairs = list(zip(KINDS, KINDS[1:] + KINDS[:1]))
    cases = [("visit-" + kind, whole_visit(kind)) for kind in KINDS]
    cases += [("talk-%s-%s" % pair, talk(*pair)) for pair in pairs]
    cases += [("conflict-%s-%s" % pair, conflict(*pair)) for pair in pairs]
    cases += [("kick", kick), ("user-deleted", user_deleted),
              ("registration-off", registration_off)]
    return [("%s-%d-workers" % (name, workers), case) for name, case in cases]


def main():
    global SERVER
    failed = 0
    for workers in (1, 2):
        with harness.Server(options={"server.workers": workers}) as SERVER:
            for user in ("juliet", "romeo"):
                SERVER.add_user(user, "secret")
            failed |= harness.main(cases_of(workers))
    with harness.Server(options={"xmpp.registration": True}) as SERVER:
        failed |= harness.main([("registration-on", registration_on)])
    return failed


if __name__ == "__main__":
    sys.exit(main())
