#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong input over real sockets and raw frames. Each kind gets the protocol's answer, moves its
counter, and leaves a connected bystander, the pools and the process as they were."""
import os
import random
import shutil
import socket
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree

import frames
import harness
from harness import DOMAIN, Problem, Skip, until
from stream import CLIENT, HEADER, SASL, STREAM, Closed, Stream

SERVER = None
BYSTANDER = None
OPEN = HEADER % DOMAIN
STANZA_ERRORS = "{urn:ietf:params:xml:ns:xmpp-stanzas}"

# Of a bound stream: what is sent, and the stream error that must answer (RFC 6120 4.9.3, 11).
MALFORMED = {
    "mismatched-tags": ("<message><body></message>", "not-well-formed"),
    "stray-end-tag": ("</message>", "not-well-formed"),
    "no-quotes": ("<message to=a/>", "not-well-formed"),
    "less-than-in-value": ("<message to='<'/>", "not-well-formed"),
    "no-space-between-attributes": ("<message a='1'b='2'/>", "not-well-formed"),
    "name-of-digits": ("<1/>", "not-well-formed"),
    "space-before-name": ("< message/>", "not-well-formed"),
    "duplicate-attribute": ("<message to='a' to='b'/>", "not-well-formed"),
    "duplicate-by-namespace": ("<message xmlns:a='u' xmlns:b='u' a:x='1' b:x='2'/>",
                               "not-well-formed"),
    "undeclared-prefix": ("<x:message/>", "not-well-formed"),
    "undeclared-attribute-prefix": ("<message x:y='1'/>", "not-well-formed"),
    "xml-prefix-rebound": ("<message xmlns:xml='urn:x'/>", "not-well-formed"),
    "prefix-undeclared-again": ("<message xmlns:a=''/>", "not-well-formed"),
    "reference-to-nul": ("<message><body>&#0;</body></message>", "not-well-formed"),
    "reference-to-surrogate": ("<message><body>&#xD800;</body></message>", "not-well-formed"),
    "control-character": ("<message><body>\x01</body></message>", "not-well-formed"),
    "no-character": ("<message><body>\ufffe</body></message>", "not-well-formed"),
    "utf8-overlong": (b"<message><body>\xc0\xaf</body></message>", "not-well-formed"),
    "utf8-surrogate": (b"<message><body>\xed\xa0\x80</body></message>", "not-well-formed"),
    "utf8-too-high": (b"<message><body>\xf4\x90\x80\x80</body></message>", "not-well-formed"),
    "utf8-lone-octet": (b"<message><body>\x80</body></message>", "not-well-formed"),
    "cdata-end-in-text": ("<message><body>]]></body></message>", "not-well-formed"),
    "text-between-stanzas": ("hello", "not-well-formed"),
    "cdata-between-stanzas": ("<![CDATA[x]]>", "not-well-formed"),
    "doctype": ("<!DOCTYPE x [<!ENTITY a 'b'>]><message/>", "restricted-xml"),
    "comment": ("<message><!-- no --></message>", "restricted-xml"),
    "processing-instruction": ("<message><?no no?></message>", "restricted-xml"),
    "second-declaration": ("<?xml version='1.0'?>", "restricted-xml"),
    "unknown-entity": ("<message><body>&lol;</body></message>", "restricted-xml"),
    "too-deep": ("<message>" + "<a>" * 40, "policy-violation"),
    "too-many-elements": ("<message>" + "<a/>" * 5000, "policy-violation"),
    "name-too-long": ("<" + "n" * 300 + "/>", "policy-violation"),
    "wrong-namespace": ("<message xmlns='urn:example:other'/>", "unsupported-stanza-type"),
    "unknown-stanza": ("<letter/>", "unsupported-stanza-type"),
    "a-servers-word": ("<stream:features/>", "unsupported-stanza-type"),
    "from-another": ("<message from='bystander@%s'/>" % DOMAIN, "invalid-from"),
}

# In place of the first stream header.
HEADERS = {
    "unknown-host": (HEADER % "elsewhere.example", "host-unknown"),
    "wrong-stream-namespace": (OPEN.replace("etherx", "other"), "invalid-namespace"),
    "wrong-content-namespace": (OPEN.replace("jabber:client", "jabber:server"),
                                "invalid-namespace"),
    "no-version": (OPEN.replace(" version='1.0' x", " x"), "unsupported-version"),
    "http": ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "not-well-formed"),
    "tls-hello": (bytes.fromhex("16030100c8010000c40303") + b"\1" * 100, "not-well-formed"),
    "utf-16": (OPEN.encode("utf-16"), "not-well-formed"),
    "latin-1": (OPEN.replace("?>", " encoding='ISO-8859-1'?>"), "unsupported-encoding"),
    "no-header": ("<message xmlns='jabber:client'/>", "bad-format"),
    "doctype-first": ("<!DOCTYPE a><x/>", "restricted-xml"),
    "zeros": (b"\0" * 100, "not-well-formed"),
    "endless-header": ("<stream:stream " + "a" * 9000, "policy-violation"),
}

# After the header, before authentication.
BEFORE_AUTHENTICATION = {
    "message": ("<message to='bystander@%s'><body>x</body></message>" % DOMAIN, "not-authorized"),
    "presence": ("<presence/>", "not-authorized"),
    "iq": ("<iq type='get' id='a'><ping xmlns='urn:xmpp:ping'/></iq>", "not-authorized"),
    "auth-too-long": ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" +
                      "A" * 9000, "policy-violation"),
}


# ---- before and after each case ----

def at_rest():
    metrics = SERVER.metrics()
    return {name: metrics[name] for name in (
        "stentor_net_connections", "stentor_partial_stanzas", "stentor_streams_negotiating",
        "stentor_xmpp_negotiations", 'stentor_streams{state="open"}', "stentor_rendered_buffers",
        "stentor_registry_entries", "stentor_tcp_send_references", "stentor_tcp_reorder_bytes")}


def aftermath(rest):
    """The bystander works, the process is the same one, and all is as at rest."""
    BYSTANDER.ping()
    assert SERVER.process.poll() is None, "the server ended"
    until(lambda: at_rest() == rest, lambda: "as at rest: %s" % at_rest(), 15)


def guarded(case, rest):
    def run():
        case()
        aftermath(rest)
    return run


def moved(before, name):
    return SERVER.metric(name) - before


def expect_stream_error(stream, condition):
    """Exactly this error, the closing tag, the end of TCP, and its counter moved once."""
    errors = [element[0].tag.rpartition("}")[2] for element in stream.rest(10)
              if element.tag == STREAM + "error"]
    assert errors == [condition], errors
    assert stream.is_stream_closed, "no closing tag"


def condition_counter(condition):
    return 'stentor_xmpp_stream_errors_total{condition="%s"}' % condition


def send_to_the_end(stream, text):
    try:
        stream.send(text)
    except OSError:
        pass  # the server has closed already: its answer is what counts


def answers(prepare, text, condition):
    """A case: after prepare(stream), text is answered by that stream error."""
    def case():
        counter = condition_counter(condition)
        before = SERVER.metric(counter)
        with Stream(SERVER) as stream:
            prepare(stream)
            send_to_the_end(stream, text)
            expect_stream_error(stream, condition)
        assert moved(before, counter) == 1, counter
    return case


def in_pieces(prepare, text, condition):
    """The same answer when each octet comes in a segment of its own."""
    def case():
        with Stream(SERVER) as stream:
            prepare(stream)
            octets = text if isinstance(text, bytes) else text.encode()
            for at in range(len(octets)):
                send_to_the_end(stream, octets[at:at + 1])
            expect_stream_error(stream, condition)
    return case


def nothing_yet(stream):
    stream.parser = ElementTree.XMLPullParser(("start", "end"))


def header_only(stream):
    stream.open()


def bound(stream):
    stream.login("mallory", "secret")


# ---- XMPP ----

def oversize():
    """A stanza of the limit passes; one octet more does not."""
    limit = 262144
    frame = "<message to='%s'><body></body></message>" % DOMAIN
    counter = condition_counter("policy-violation")
    before = SERVER.metric(counter)
    with Stream(SERVER) as stream:
        bound(stream)
        stream.send(frame.replace("<body>", "<body>" + "x" * (limit - len(frame))))
        stream.ping()
        send_to_the_end(stream, frame.replace("<body>", "<body>" + "x" * (limit + 1 - len(frame))))
        expect_stream_error(stream, "policy-violation")
    assert moved(before, counter) == 1


def bad_addresses():
    """Answered in the stream, which goes on."""
    before = SERVER.metric("stentor_xmpp_stanza_errors_total")
    with Stream(SERVER) as stream:
        bound(stream)
        for number, to in enumerate(("@@@", "a@b@c", "a" * 1100 + "@" + DOMAIN, "a@%s/" % DOMAIN)):
            stream.send("<iq type='get' id='n%d' to='%s'><ping xmlns='urn:xmpp:ping'/></iq>"
                        % (number, to))
            answer = stream.take_until(lambda element: element.tag == CLIENT + "iq")
            assert answer.get("type") == "error", ElementTree.tostring(answer)
            assert answer.find(CLIENT + "error/" + STANZA_ERRORS + "jid-malformed") is not None, to
        stream.ping()
        stream.close()
    assert moved(before, "stentor_xmpp_stanza_errors_total") == 4


def bad_iqs():
    with Stream(SERVER) as stream:
        bound(stream)
        for inside, condition in (("<query xmlns='urn:example:unknown'/>", "service-unavailable"),
                                  ("", "bad-request")):
            stream.send("<iq type='get' id='q' to='%s'>%s</iq>" % (DOMAIN, inside))
            answer = stream.take_until(lambda element: element.get("id") == "q")
            assert answer.find(CLIENT + "error/" + STANZA_ERRORS + condition) is not None, \
                ElementTree.tostring(answer)
        stream.close()


def failure_of(stream, text):
    stream.send(text)
    answer = stream.take()
    assert answer.tag == SASL + "failure", answer.tag
    return answer[0].tag.replace(SASL, "")


def bad_sasl():
    auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='%s'>%s</auth>"
    answered = {("PLAIN", "AG1hbGxvcnkAd3Jvbmc="): "not-authorized",  # NUL mallory NUL wrong
                ("PLAIN", "AG5vYm9keQB3cm9uZw=="): "not-authorized",  # NUL nobody NUL wrong
                ("PLAIN", "not base64!"): "incorrect-encoding",
                ("PLAIN", "eA=="): "malformed-request",
                ("NONE", "="): "invalid-mechanism",
                ("SCRAM-SHA-256", "eA=="): "malformed-request",
                ("EXTERNAL", "="): "invalid-mechanism"}
    before = SERVER.metric('stentor_xmpp_auth_total{outcome="failed"}')
    for (mechanism, text), condition in answered.items():
        with Stream(SERVER) as stream:
            stream.open()
            assert failure_of(stream, auth % (mechanism, text)) == condition, (mechanism, text)
    assert moved(before, 'stentor_xmpp_auth_total{outcome="failed"}') == len(answered)
    with Stream(SERVER) as stream:
        stream.open()
        for _ in range(3):
            assert failure_of(stream, auth % ("PLAIN", "AG1hbGxvcnkAd3Jvbmc=")) == "not-authorized"
        expect_stream_error(stream, "policy-violation")


def aborted_sasl():
    before = SERVER.metric('stentor_xmpp_auth_total{outcome="aborted"}')
    with Stream(SERVER) as stream:
        stream.open()
        stream.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-1'>"
                    "biwsbj1tYWxsb3J5LHI9YWJj</auth>")
        assert stream.take().tag == SASL + "challenge"
        assert failure_of(stream, "<abort xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>") == "aborted"
        outcome = stream.plain("mallory", "secret")
        assert outcome.tag == SASL + "success"
    assert moved(before, 'stentor_xmpp_auth_total{outcome="aborted"}') == 1


def gone_midway():
    """TCP ends in the middle of a stanza, of a login, of a password check."""
    for octets in (OPEN, OPEN[:40], OPEN + "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                   "mechanism='PLAIN'>AG1hbGxvcnkAc2VjcmV0</auth>"):
        for _ in range(20):
            with Stream(SERVER) as stream:
                stream.send(octets)
    with Stream(SERVER) as stream:
        bound(stream)
        stream.send("<message><body>" + "x" * 5000)


def abandoned_logins():
    """Passwords are dear to check here. Those of clients that reset or end their connection are
    not, and an honest login comes past them."""
    counter = "stentor_passwords_abandoned_total"
    before = SERVER.metric(counter)
    text = "<auth xmlns='%s' mechanism='PLAIN'>AG1hbGxvcnkAd3Jvbmc=</auth>" % SASL[1:-1]
    for linger in (b"\1\0\0\0\0\0\0\0", b"\0\0\0\0\0\0\0\0"):
        streams = [Stream(SERVER) for _ in range(30)]
        for stream in streams:
            stream.open()
            stream.send(text)
        BYSTANDER.ping()
        for stream in streams:
            stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            stream.socket.close()
    with Stream(SERVER) as stream:
        bound(stream)
    assert moved(before, counter) > 30, moved(before, counter)


# ---- the admin API ----

def api_refuses(status, method, path, **keywords):
    try:
        SERVER.api(method, path, **keywords)
    except Problem as problem:
        assert problem.status == status, problem
        return problem.body
    raise AssertionError("was accepted: %s %s %s" % (method, path, keywords))


def malformed_json():
    bodies = ("", "{", "{not json", "[]", "null", "{\"target\":1}", "[" * 40, "{}" * 2,
              b"{\"username\":\"\xff\"}", "{\"username\":\"a\",\"username\":\"b\"}")
    before = SERVER.metric('stentor_admin_responses_total{class="4xx"}')
    for path in ("/v1/pushes", "/v1/users"):
        for body in bodies:
            body = body if isinstance(body, bytes) else body.encode()
            api_refuses(400, "POST", path, raw=body)
    assert moved(before, 'stentor_admin_responses_total{class="4xx"}') == 2 * len(bodies)
    note = {"title": "T"}
    for push in ({"target": {"all": True}}, {"notification": note}, {"target": {}, "notification": note},
                 {"target": {"all": True, "online": True}, "notification": note},
                 {"target": {"all": True}, "notification": note, "unknown": 1}):
        api_refuses(400, "POST", "/v1/pushes", body=push)


def wrong_token():
    before = SERVER.metric("stentor_admin_unauthorized_total")
    for token in ("wrong", SERVER.token[:-1], SERVER.token + "x", "x" * 4000):
        api_refuses(401, "GET", "/v1/users", token=token)
    assert SERVER.http("GET", "/metrics")[0] == 401
    assert moved(before, "stentor_admin_unauthorized_total") == 5


def raw_http(octets):
    """Status and body of what is answered to these octets; the connection must end after it."""
    sock = SERVER.connect("127.0.0.1", 7070)
    try:
        sock.sendall(octets)
        answer = b""
        while True:
            piece = sock.recv(65536)
            if not piece:
                break
            answer += piece
    finally:
        sock.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), body.decode()


def no_http():
    """Refused by the library, unread: an answer, a count, and no more than a line a second."""
    before = SERVER.metric("stentor_admin_unreadable_total")
    lines = SERVER.log().count("no HTTP")
    requests = ((400, b"GET /healthz\r\n\r\n"), (400, b"GET / HTTP/1.1\r\n\r\n"),
                (505, b"GET / HTTP/9.9\r\nHost: x\r\n\r\n"),
                (400, b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n"))
    for status, octets in requests * 5:
        assert raw_http(octets)[0] == status, octets
    assert moved(before, "stentor_admin_unreadable_total") == 20
    until(lambda: SERVER.log().count("no HTTP") > lines, "a line in the log")
    assert SERVER.log().count("no HTTP") - lines < 10


def ambiguous_http():
    """Two lengths, a length and a coding, two tokens: 400, and nothing is made."""
    body = b'{"username":"smuggled","password":"x"}'
    for fields in ("Content-Length: %d\r\nContent-Length: 2\r\n", "Content-Length: %d\r\n"
                   "Transfer-Encoding: chunked\r\n", "Content-Length: %d\r\nHost: y\r\n",
                   "Content-Length: %d\r\nAuthorization: Bearer x\r\n"):
        head = ("POST /v1/users HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer %s\r\n%s\r\n"
                % (SERVER.token, fields % len(body)))
        status, text = raw_http(head.encode() + body)
        assert status == 400 and "urn:stentor:problem:invalid-request" in text, (fields, text)
    api_refuses(404, "GET", "/v1/users/smuggled")


def slow_strangers():
    """Every place of the admin API held by somebody who sends an octet a second: others are served
    within seconds, with the token and without."""
    counter = 'stentor_admin_cut_connections_total{reason="crowded"}'
    before = SERVER.metric(counter)
    strangers = [SERVER.connect("127.0.0.1", 7070) for _ in range(70)]
    try:
        for octet in b"GET /":
            for sock in strangers:
                try:
                    sock.send(bytes((octet,)))
                except OSError:
                    pass
            assert SERVER.http("GET", "/healthz", timeout=5)[0] == 200
            SERVER.api("GET", "/v1/sessions/count")
            time.sleep(1)
        assert moved(before, counter) > 0
    finally:
        for sock in strangers:
            sock.close()


def slow_request():
    """admin.request_time is two seconds here: octet by octet is not fast enough."""
    counter = 'stentor_admin_cut_connections_total{reason="slow"}'
    before = SERVER.metric(counter)
    sock = SERVER.connect("127.0.0.1", 7070)
    try:
        end = time.monotonic() + 10
        with_token = "GET /v1/users HTTP/1.1\r\nAuthorization: Bearer %s\r\n" % SERVER.token
        sock.sendall(with_token.encode())
        while time.monotonic() < end:
            try:
                sock.sendall(b"X")
            except OSError:
                break
            time.sleep(0.1)
        assert time.monotonic() < end, "never cut"
    finally:
        sock.close()
    assert moved(before, counter) == 1


def unknown_user():
    body = api_refuses(404, "POST", "/v1/pushes",
                       body={"target": {"users": ["mallory", "nobody"]}, "notification": {"title": "T"}})
    assert "/target/users/1" in body, body
    api_refuses(404, "GET", "/v1/users/nobody")
    api_refuses(404, "DELETE", "/v1/users/nobody")


def duplicate_user():
    api_refuses(409, "POST", "/v1/users", body={"username": "mallory", "password": "other"})
    api_refuses(409, "POST", "/v1/users", body={"username": "MALLORY", "password": "other"})
    with Stream(SERVER) as stream:
        bound(stream)  # the old password still opens


# ---- frames ----

FRAME_DROPS = ("stentor_net_dropped_packets_total", "stentor_tcp_dropped_segments_total")


def drop_counts():
    return {name: value for name, value in SERVER.metrics().items() if name.startswith(FRAME_DROPS)}


def absurd_frames():
    """A good SYN cut at each octet and flipped at each bit, then noise of many shapes."""
    before = drop_counts()
    chance = random.Random(int(os.environ.get("STENTOR_SEED", "7")))
    with frames.Wire(SERVER) as wire:
        source = socket.inet_aton("10.99.0.9")
        good = wire.frame(frames.tcp(source, 4242, 7, frames.SYN))
        for size in range(15, len(good)):
            wire.send(good[:size])
        for place in range(12, len(good)):
            for bit in range(8):
                wire.send(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1:])
        for kind in (0x0800, 0x0806, 0x86DD, 0x8100, 0x0000, 0xFFFF):
            for size in (1, 20, 46, 500, 1500):
                wire.send(wire.frame(chance.randbytes(size), kind))
        for _ in range(3000):
            packet = bytearray(frames.ipv4(source, frames.OURS, chance.choice((1, 6, 17, 58)),
                                           chance.randbytes(chance.randrange(0, 200)),
                                           chance.choice((0, 0, 0x2000, 0x1fff))))
            packet[chance.randrange(len(packet))] ^= 1 << chance.randrange(8)
            wire.send(wire.frame(bytes(packet)))
        for flags in range(256):
            wire.send(wire.frame(frames.tcp(source, 5000 + flags, flags, flags, flags, b"x" * flags)))
    rose = {name for name, value in drop_counts().items() if value > before.get(name, 0)}
    for reason in ("ip-checksum", "ip-size", "ip-fragment", "ip-protocol", "tcp-short", "tcp-flags",
                   "tcp-checksum", "ethernet-type", "arp-malformed"):
        assert any(reason in name for name in rose), (reason, rose)


def forged_segments():
    """Segments of the bystander's connection that a blind attacker could send (RFC 5961)."""
    local = BYSTANDER.socket.getsockname()
    source = socket.inet_aton(local[0])
    chance = random.Random(7)
    with frames.Wire(SERVER) as wire:
        for flags in (frames.RST, frames.RST | frames.ACK, frames.SYN, frames.FIN | frames.ACK,
                      frames.ACK):
            for _ in range(300):
                wire.send(wire.frame(frames.tcp(source, local[1], chance.randrange(1 << 32), flags,
                                                chance.randrange(1 << 32), b"</stream:stream>")))
    BYSTANDER.ping()


def syn_flood():
    """100,000 SYNs from addresses on the link and off it; an honest client logs in meanwhile."""
    before = SERVER.metrics()
    with frames.Wire(SERVER) as wire:
        sent = 0
        for number in range(100000):
            network = b"\x0a\x63\x00" if number % 2 else b"\xc6\x33\x64"
            source = network + bytes([3 + number // 2 % 250])
            sent += wire.send(wire.frame(frames.tcp(source, 1024 + number % 60000, number, frames.SYN)))
            if number == 50000:
                with Stream(SERVER) as honest:
                    bound(honest)
                    honest.ping()
                    assert SERVER.metric("stentor_net_connections") <= 2
    assert sent > 50000, "only %d frames left this machine" % sent
    with Stream(SERVER) as honest:
        bound(honest)
        honest.ping()
    after = SERVER.metrics()
    name = 'stentor_tcp_cookies_total{outcome="sent"}'
    assert after[name] - before[name] > 1000, after[name] - before[name]
    assert after['stentor_tcp_opened_total{how="accepted"}'] == \
        before['stentor_tcp_opened_total{how="accepted"}'] + 2


def guessed_cookies():
    before = SERVER.metric('stentor_tcp_cookies_total{outcome="bad"}')
    chance = random.Random(7)
    with frames.Wire(SERVER) as wire:
        for number in range(2000):
            wire.send(wire.frame(frames.tcp(b"\x0a\x63\x00\x42", 2000 + number,
                                            chance.randrange(1 << 32), frames.ACK,
                                            chance.randrange(1 << 32), b"<stream")))
    until(lambda: moved(before, 'stentor_tcp_cookies_total{outcome="bad"}') > 100,
          "bad cookies are counted")


# ---- clients that stop ----

def small_buffer(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


def stops_reading():
    """Its queue fills to xmpp.outbox_bytes, then it is shed; a third is served all the while."""
    counter = 'stentor_streams_refused_total{reason="outbox"}'
    before = SERVER.metric(counter)
    with Stream(SERVER, prepare=small_buffer) as slow:
        bound(slow)
        for number in range(12):
            BYSTANDER.message(slow.jid, "y" * 60000)
            if number == 2:
                assert 0 < SERVER.api("GET", "/v1/sessions?user=mallory")["items"][0][
                    "queued_bytes"] <= 262144
            BYSTANDER.ping()
        until(lambda: moved(before, counter) == 1, "the slow reader is shed", 20)
        try:
            while True:
                slow.take(10)
        except Closed as how:
            assert str(how) == "reset", how


def slow_to_authenticate():
    """xmpp.auth_time is one second here: octet by octet, or silence, it is over."""
    counter = 'stentor_streams_refused_total{reason="auth-time"}'
    before = SERVER.metric(counter)
    with Stream(SERVER) as silent, Stream(SERVER) as slow, Stream(SERVER) as midway:
        nothing_yet(silent)
        nothing_yet(slow)
        midway.open()
        end = time.monotonic() + 3.5
        for octet in OPEN[:-1]:
            if time.monotonic() > end:
                break
            send_to_the_end(slow, octet)
            time.sleep(0.03)
        for stream in (silent, slow, midway):
            expect_stream_error(stream, "connection-timeout")
    assert moved(before, counter) == 3


def cut_off(port):
    """No packet of that local port passes the device any more, either way; the admin API's loopback,
    which may come to use the same port, is not touched."""
    rules = ("add table ip cut; "
             "add chain ip cut in { type filter hook input priority 0; }; "
             "add chain ip cut out { type filter hook output priority 0; }; "
             "add rule ip cut in iifname stn0 tcp dport %d drop; "
             "add rule ip cut out oifname stn0 tcp sport %d drop"
             % (port, port))
    done = SERVER.run(["nft", rules], check=False, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Skip("nft cannot drop packets here: " + done.stderr.decode().splitlines()[0])


def vanishes(is_sent_to):
    """A peer gone without a word is found by keepalive, or by what it does not acknowledge."""
    def case():
        if shutil.which("nft") is None:
            raise Skip("nft is not installed (Debian package nftables)")
        counter = 'stentor_tcp_closed_total{why="timeout"}'
        before = SERVER.metric(counter)
        stream = Stream(SERVER)
        bound(stream)
        cut_off(stream.socket.getsockname()[1])
        try:
            began = time.monotonic()
            if is_sent_to:
                BYSTANDER.message(stream.jid, "are you there?")
            until(lambda: moved(before, counter) == 1, "the peer is held dead", 20)
            assert time.monotonic() - began > 1, "too soon"
        finally:
            SERVER.run(["nft", "delete", "table", "ip", "cut"], check=False)
            stream.socket.close()
        name = 'stentor_tcp_probes_total{kind="keepalive"}'
        assert is_sent_to or SERVER.metric(name) > 0
    return case


def too_many_from_one_address():
    """tcp.connections_per_address is 20 here; another address is not concerned."""
    counter = 'stentor_net_refused_connections_total{reason="address"}'
    before = SERVER.metric(counter)
    SERVER.run(["ip", "addr", "add", "10.99.0.77/24", "dev", "stn0"])
    streams = []
    try:
        for _ in range(30):
            try:
                stream = Stream(SERVER, timeout=0.5)
                stream.open()
                streams.append(stream)
            except (OSError, Closed, TimeoutError):
                pass
        assert len(streams) == 19, len(streams)  # and the bystander
        assert moved(before, counter) >= 11
        with Stream(SERVER, source="10.99.0.77") as other:
            other.login("mallory", "secret")
    finally:
        for stream in streams:
            stream.socket.close()
        SERVER.run(["ip", "addr", "del", "10.99.0.77/24", "dev", "stn0"])


# ---- all of them ----

def table(prefix, prepare, rows):
    return [("%s-%s" % (prefix, name), answers(prepare, *row)) for name, row in rows.items()]


def pieces():
    """A few of each kind, octet by octet."""
    rows = [("in-pieces-" + name, in_pieces(bound, *MALFORMED[name])) for name in
            ("mismatched-tags", "utf8-overlong", "unknown-entity", "comment", "from-another")]
    return rows + [("in-pieces-" + name, in_pieces(nothing_yet, *HEADERS[name])) for name in
                   ("unknown-host", "http", "wrong-content-namespace")]


def plain_cases():
    cases = table("malformed", bound, MALFORMED) + table("header", nothing_yet, HEADERS)
    cases += table("before-authentication", header_only, BEFORE_AUTHENTICATION) + pieces()
    return cases + [
        ("oversize", oversize), ("bad-addresses", bad_addresses), ("bad-iqs", bad_iqs),
        ("bad-sasl", bad_sasl), ("aborted-sasl", aborted_sasl), ("gone-midway", gone_midway),
        ("malformed-json", malformed_json), ("wrong-token", wrong_token),
        ("no-http", no_http), ("ambiguous-http", ambiguous_http),
        ("slow-strangers", slow_strangers),
        ("unknown-user-in-push", unknown_user), ("duplicate-user", duplicate_user),
        ("absurd-frames", absurd_frames), ("forged-segments", forged_segments),
        ("guessed-cookies", guessed_cookies), ("syn-flood", syn_flood),
        ("stops-reading", stops_reading)]


def impatient_cases():
    """Of a server whose times are short."""
    return [("slow-to-authenticate", slow_to_authenticate), ("slow-request", slow_request),
            ("vanishes-idle", vanishes(False)), ("vanishes-unacknowledged", vanishes(True))]


# With several queues the ACK of a handshake may be overtaken by the RST that follows it, and then
# opens the connection once more: SYN cookies remember nothing. xmpp.auth_time ends such a stream.
TWO = {"server.workers": 2, "xmpp.auth_time": "5s"}
IMPATIENT = {"xmpp.auth_time": "1s", "tcp.keepalive_idle": "2s", "tcp.keepalive_interval": "1s",
             "tcp.keepalive_probes": 2, "tcp.user_timeout": "5s", "admin.request_time": "2s"}
FEW = {"tcp.connections_per_address": 20}
DEAR = {"scram.iterations": 300000}


def run(options, suffix, cases):
    global SERVER, BYSTANDER
    with harness.Server(options=options) as SERVER:
        for user in ("bystander", "mallory"):
            SERVER.add_user(user, "secret")
        with Stream(SERVER) as BYSTANDER:
            BYSTANDER.login("bystander", "secret")
            time.sleep(0.2)
            rest = at_rest()
            return harness.main([(name + suffix, guarded(case, rest)) for name, case in cases])


def main():
    failed = run({}, "", plain_cases())
    failed |= run(TWO, "-2-workers", plain_cases())
    failed |= run(IMPATIENT, "", impatient_cases())
    failed |= run(DEAR, "", [("abandoned-logins", abandoned_logins)])
    return failed | run(FEW, "", [("too-many-from-one-address", too_many_from_one_address)])


if __name__ == "__main__":
    sys.exit(main())
