#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Wrong input over real sockets: each gets the protocol's answer, moves a counter, and leaves a
connected bystander and the pools as they were."""
import socket
import struct
import sys

import harness
from harness import Problem, until
from stream import SASL, STREAM, Stream

NS_ERRORS = "{urn:ietf:params:xml:ns:xmpp-streams}"
SERVER = None
BYSTANDER = None

MALFORMED = {
    "not-well-formed": "<message><body></message>",
    "doctype": "<!DOCTYPE x [<!ENTITY a 'b'>]><message/>",
    "comment": "<message><!-- no --></message>",
    "processing-instruction": "<message><?no no?></message>",
    "unknown-entity": "<message><body>&lol;</body></message>",
    "bad-utf8": b"<message><body>\xc0\xaf</body></message>",
    "undeclared-prefix": "<x:message/>",
    "duplicate-attribute": "<message to='a' to='b'/>",
    "wrong-namespace": "<message xmlns='urn:example:other'/>",
}


def gauge_rest():
    metrics = SERVER.metrics()
    return (metrics["stentor_partial_stanzas"], metrics["stentor_streams_negotiating"],
            metrics['stentor_streams{state="bound"}'])


def aftermath():
    """The bystander still works and nothing is left but the bystander."""
    BYSTANDER.ping()
    until(lambda: gauge_rest() == (0, 0, 1), lambda: "pools at rest: %s" % (gauge_rest(),))


def stream_error(stream):
    error = stream.take_until(lambda element: element.tag == STREAM + "error")
    stream.rest(10)
    return error[0].tag.replace(NS_ERRORS, "")


def malformed(text):
    def case():
        with Stream(SERVER) as stream:
            stream.login("mallory", "secret")
            stream.send(text)
            condition = stream_error(stream)
            assert condition in ("not-well-formed", "restricted-xml", "bad-namespace-prefix",
                                 "invalid-namespace", "unsupported-stanza-type",
                                 "bad-format"), condition
        aftermath()
    return case


def before_authentication():
    with Stream(SERVER) as stream:
        stream.open()
        stream.send("<message to='bystander@stentor.local'><body>x</body></message>")
        assert stream_error(stream) == "not-authorized"
    aftermath()


def unknown_host():
    with Stream(SERVER) as stream:
        stream.parser = None
        try:
            stream.open("elsewhere.example")
        except Exception:
            pass
        assert stream.header is not None
    aftermath()


def oversize():
    with Stream(SERVER) as stream:
        stream.login("mallory", "secret")
        try:
            stream.send("<message><body>" + "x" * 300000)
        except OSError:
            pass
        assert stream_error(stream) == "policy-violation"
    aftermath()


def pre_auth_bytes():
    with Stream(SERVER) as stream:
        stream.open()
        stream.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + "A" * 9000)
        assert stream_error(stream) == "policy-violation"
    aftermath()


def bad_sasl():
    with Stream(SERVER) as stream:
        stream.open()
        outcome = stream.plain("mallory", "wrong")
        assert outcome.tag == SASL + "failure" and outcome[0].tag == SASL + "not-authorized"
        outcome = stream.plain("nobody", "wrong")
        assert outcome[0].tag == SASL + "not-authorized"
        stream.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='NONE'>=</auth>")
        assert stream.take()[0].tag == SASL + "invalid-mechanism"
    aftermath()


def api_refuses(status, method, path, **keywords):
    try:
        SERVER.api(method, path, **keywords)
    except Problem as problem:
        assert problem.status == status, problem
        return
    raise AssertionError("was accepted")


def bad_api():
    api_refuses(400, "POST", "/v1/pushes", raw="{not json")
    api_refuses(401, "GET", "/v1/users", token="wrong")
    api_refuses(404, "POST", "/v1/pushes",
                body={"target": {"users": ["nobody"]}, "notification": {"title": "T"}})
    api_refuses(409, "POST", "/v1/users", body={"username": "mallory", "password": "x"})
    api_refuses(400, "POST", "/v1/pushes", body={"target": {"all": True, "online": True},
                                                 "notification": {"title": "T"}})
    aftermath()


def raw_socket():
    with SERVER.inside():
        raw = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
        raw.bind(("stn0", 0))
    return raw


def checksum(octets):
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack("!%dH" % (len(octets) // 2), octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def syn(mac, own, source, port, sequence):
    tcp = struct.pack("!HHIIBBHHH", port, 5222, sequence, 0, 5 << 4, 2, 65535, 0, 0)
    pseudo = source + socket.inet_aton(harness.ADDRESS) + struct.pack("!BBH", 0, 6, len(tcp))
    tcp = tcp[:16] + struct.pack("!H", checksum(pseudo + tcp)) + tcp[18:]
    ip = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0, 64, 6, 0, source,
                     socket.inet_aton(harness.ADDRESS))
    ip = ip[:10] + struct.pack("!H", checksum(ip)) + ip[12:]
    return mac + own + b"\x08\x00" + ip + tcp


def macs():
    own = SERVER.run(["cat", "/sys/class/net/stn0/address"], stdout=-1).stdout.decode().strip()
    own = bytes.fromhex(own.replace(":", ""))
    neighbours = SERVER.run(["ip", "neigh", "show", harness.ADDRESS], stdout=-1).stdout.decode()
    return bytes.fromhex(neighbours.split("lladdr ")[1].split()[0].replace(":", "")), own


def syn_flood():
    before = SERVER.metrics()
    mac, own = macs()
    raw = raw_socket()
    for number in range(100000):
        source = socket.inet_aton("10.99.0.%d" % (3 + number % 250))
        try:
            raw.send(syn(mac, own, source, 1024 + number % 60000, number))
        except OSError:
            pass  # the queue of the device is full: that is a flood
    with Stream(SERVER) as honest:
        honest.login("mallory", "secret")
        honest.ping()
    raw.close()
    moved = sum(value - before.get(name, 0) for name, value in SERVER.metrics().items()
                if "cookie" in name)
    assert moved > 1000, moved
    aftermath()


def absurd_frames():
    before = SERVER.metrics()
    mac, own = macs()
    raw = raw_socket()
    good = syn(mac, own, socket.inet_aton("10.99.0.9"), 4242, 7)
    for size in range(15, len(good)):
        raw.send(good[:size])
    for place in range(14, len(good)):
        for bit in range(8):
            raw.send(good[:place] + bytes([good[place] ^ 1 << bit]) + good[place + 1:])
    raw.close()
    moved = sum(value - before.get(name, 0) for name, value in SERVER.metrics().items()
                if "net_drop" in name or "dropped" in name)
    assert moved > 100, moved
    aftermath()


def stops_reading():
    before = SERVER.metrics()

    def small_buffer(sock):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)

    with Stream(SERVER, prepare=small_buffer) as slow:
        slow.login("mallory", "secret")
        body = "y" * 60000
        for _ in range(12):
            BYSTANDER.send("<message to='%s'><body>%s</body></message>" % (slow.jid, body))
        name = 'stentor_streams_refused_total{reason="outbox"}'
        until(lambda: SERVER.metrics()[name] > before[name], "the slow reader is shed", 20)
    aftermath()


def main():
    global SERVER, BYSTANDER
    cases = [("malformed-" + name, malformed(text)) for name, text in MALFORMED.items()]
    cases += [("before-authentication", before_authentication), ("unknown-host", unknown_host),
              ("oversize", oversize), ("pre-auth-bytes", pre_auth_bytes), ("bad-sasl", bad_sasl),
              ("bad-api", bad_api), ("absurd-frames", absurd_frames), ("syn-flood", syn_flood),
              ("stops-reading", stops_reading)]
    with harness.Server() as SERVER:
        for user in ("bystander", "mallory"):
            SERVER.add_user(user, "secret")
        with Stream(SERVER) as BYSTANDER:
            BYSTANDER.login("bystander", "secret")
            return harness.main(cases)


if __name__ == "__main__":
    sys.exit(main())
