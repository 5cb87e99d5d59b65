#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Accounts that are deleted, disabled, made anew or given another password while somebody logs in.
Once the API has answered, nobody is, or comes to be, logged in by what the account was, however far
the login had come."""
import base64
import hashlib
import hmac
import sys
import threading
import time
import xml.etree.ElementTree as ElementTree

import harness
from harness import Problem, until
from stream import SASL, STREAM, Closed, Stream

BIND = "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'/></iq>"
AUTH = "<auth xmlns='%s' mechanism='%s'>%s</auth>"
RESPONSE = "<response xmlns='%s'>%s</response>"
OLD, NEW = "old password", "new password"


def base64_of(text):
    return base64.b64encode(text if isinstance(text, bytes) else text.encode()).decode()


# ---- how far a login comes before the account changes ----
# Each goes that far and returns how it goes on: to its outcome, or None when that is known already.

def scram_proof(first, challenge, password):
    """The client-final-message (RFC 5802 section 3)."""
    parts = dict(part.split("=", 1) for part in challenge.split(","))
    salted = hashlib.pbkdf2_hmac("sha256", password.encode(), base64.b64decode(parts["s"]),
                                 int(parts["i"]))
    key = hmac.digest(salted, b"Client Key", "sha256")
    bare = "c=biws,r=" + parts["r"]
    signature = hmac.digest(hashlib.sha256(key).digest(),
                            ",".join((first, challenge, bare)).encode(), "sha256")
    return bare + ",p=" + base64_of(bytes(a ^ b for a, b in zip(key, signature)))


def at_challenge(stream, user):
    stream.open()
    first = "n=%s,r=rOprNGfwEbeRWgbNEkqO" % user
    stream.send(AUTH % (SASL[1:-1], "SCRAM-SHA-256", base64_of("n,," + first)))
    challenge = base64.b64decode(stream.take().text).decode()

    def go_on():
        stream.send(RESPONSE % (SASL[1:-1], base64_of(scram_proof(first, challenge, OLD))))
        return stream.take()
    return go_on


def at_password(stream, user):
    """The password is being stretched, behind that of another login."""
    stream.open()
    stream.send(AUTH % (SASL[1:-1], "PLAIN", base64_of("\0%s\0%s" % (user, OLD))))
    return stream.take


def at_success(stream, user):
    stream.open()
    assert stream.plain(user, OLD).tag == SASL + "success"
    return None


def at_features(stream, user):
    at_success(stream, user)
    assert stream.open().tag == STREAM + "features"
    stream.is_reopened = True
    return None


def expect_no_session(stream, go_on):
    """A failed login may try again and fail again; an authenticated stream has ended."""
    if go_on is not None:
        outcome = go_on()
        assert outcome.tag == SASL + "failure", outcome.tag
        assert outcome[0].tag == SASL + "not-authorized", outcome[0].tag
        outcome = stream.plain("juliet", OLD)
        assert outcome.tag == SASL + "failure", outcome.tag
        return
    said = [] if hasattr(stream, "is_reopened") else [stream.open()]
    try:
        stream.send(BIND)
    except OSError:
        pass
    errors = [element[0].tag.rpartition("}")[2] for element in said + stream.rest()
              if element.tag == STREAM + "error"]
    assert errors == ["not-authorized"], errors


# ---- what becomes of the account ----

def deleted(server):
    server.api("DELETE", "/v1/users/juliet")


def disabled(server):
    server.api("PATCH", "/v1/users/juliet", {"enabled": False})


def made_anew(server):
    server.api("DELETE", "/v1/users/juliet")
    server.add_user("juliet", NEW)


def another_password(server):
    server.api("PATCH", "/v1/users/juliet", {"password": NEW})


CHANGES = {"deleted": deleted, "disabled": disabled, "made-anew": made_anew,
           "another-password": another_password}
POINTS = {"challenge": at_challenge, "password": at_password, "success": at_success,
          "features": at_features}


def begin_anew(server):
    try:
        server.api("DELETE", "/v1/users/juliet")
    except Problem:
        pass
    server.add_user("juliet", OLD)


def expect_afterwards(server, change):
    """What the account is now holds."""
    with Stream(server) as stream:
        stream.open()
        outcome = stream.plain("juliet", OLD)
        assert outcome.tag == SASL + "failure", outcome.tag
        words = "account-disabled" if change is disabled else "not-authorized"
        assert outcome[0].tag == SASL + words, outcome[0].tag
    if change in (made_anew, another_password):
        with Stream(server) as stream:
            stream.login("juliet", NEW)


def changes_at(server, point, change):
    """As many streams as reach both workers."""
    def case():
        begin_anew(server)
        streams = [Stream(server) for _ in range(6)]
        if point is at_password:
            return changes_behind_a_password(server, streams, change)
        ways = [point(stream, "juliet") for stream in streams]
        change(server)
        for stream, go_on in zip(streams, ways):
            expect_no_session(stream, go_on)
            stream.socket.close()
        expect_afterwards(server, change)
    return case


def changes_behind_a_password(server, streams, change):
    """The one password thread is kept busy, so that the change is answered while passwords wait. A
    new password must be stretched itself: it is asked for first."""
    changer = threading.Thread(target=change, args=(server,))
    with Stream(server) as busy:
        busy.open()
        busy.send(AUTH % (SASL[1:-1], "PLAIN", base64_of("\0juliet\0wrong")))
        if change is another_password:
            changer.start()
        ways = [at_password(stream, "juliet") for stream in streams]
        if change is not another_password:
            changer.start()
        changer.join()
        for stream, go_on in zip(streams, ways):
            try:
                outcome = go_on()
                if outcome.tag == SASL + "success":  # before the change was answered
                    expect_no_session(stream, None)
            except ElementTree.ParseError:
                pass  # <success/> and the stream that ends came in one piece
            stream.socket.close()
    expect_afterwards(server, change)


def bound_sessions(server, change):
    """Sessions of the old account end, but for another password."""
    def case():
        begin_anew(server)
        streams = [Stream(server).login("juliet", OLD, "r%d" % i) for i in range(6)]
        change(server)
        for stream in streams:
            if change is another_password:
                stream.ping()
            else:
                assert stream.error() == "policy-violation"
            stream.socket.close()
        expect_afterwards(server, change)
    return case


class Intruder(threading.Thread):
    """Logs in by the old password again and again; keeps each stream that it could bind."""

    def __init__(self, server, name):
        super().__init__()
        self.server = server
        self.resource = name + "-%d"
        self.is_over = False
        self.bound = []
        self.fault = None

    def run(self):
        while not self.is_over:
            try:
                stream = Stream(self.server)
                try:
                    self.bound.append(stream.login("juliet", OLD,
                                                   self.resource % len(self.bound)))
                except (AssertionError, Closed, OSError, IndexError, ElementTree.ParseError):
                    stream.socket.close()  # in the middle of its way
            except Exception as fault:
                self.fault = fault
                return


def races(server, change):
    """Against logins at any point of their way, also while the account is being looked up."""
    def case():
        for _ in range(8):
            begin_anew(server)
            intruders = [Intruder(server, "intruder%d" % i) for i in range(3)]
            for intruder in intruders:
                intruder.start()
            time.sleep(0.05)
            change(server)
            time.sleep(0.05)
            for intruder in intruders:
                intruder.is_over = True
            for intruder in intruders:
                intruder.join()
                assert intruder.fault is None, intruder.fault
            for stream in (stream for intruder in intruders for stream in intruder.bound):
                condition = stream.error()
                assert condition == "policy-violation", (condition, stream.closed_by, stream.jid)
                stream.socket.close()
            until(lambda: not server.api("GET", "/v1/sessions?user=juliet")["items"],
                  "the last connection is closed")
    return case


def cases(server, points, suffix):
    rows = [("%s-at-%s%s" % (name, point, suffix), changes_at(server, POINTS[point], change))
            for point in points for name, change in CHANGES.items()]
    if "password" in points:
        return rows
    rows += [("%s-when-bound%s" % (name, suffix), bound_sessions(server, change))
             for name, change in CHANGES.items()]
    return rows + [("%s-races%s" % (name, suffix), races(server, CHANGES[name]))
                   for name in ("deleted", "disabled", "made-anew")]


def main():
    failed = 0
    for workers in (1, 2):
        options = {"server.workers": workers, "xmpp.auth_tries": 5, "tcp.time_wait": "1s",
                   "xmpp.resources_max": 100}
        suffix = "-%d-workers" % workers
        with harness.Server(options=options) as server:
            failed |= harness.main(cases(server, ("challenge", "success", "features"), suffix))
            assert server.stop() == 0, (server.process.returncode, server.log())
        options["scram.iterations"] = 400000
        with harness.Server(options=options) as server:
            failed |= harness.main(cases(server, ("password",), suffix))
            assert server.stop() == 0, (server.process.returncode, server.log())
    return failed


if __name__ == "__main__":
    sys.exit(main())
