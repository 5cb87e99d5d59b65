#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Linux kernel as TCP's peer over TAP: a megabyte each way, small segments, small windows, lost
packets, half-close, reset, many connections, a stanza of the limit, ping sizes, ARP. With one worker
and with two."""
import hashlib
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "interop"))

import frames  # noqa: E402
import harness  # noqa: E402
from harness import DOMAIN, Skip, until  # noqa: E402
from stream import CLIENT, Stream, body_of  # noqa: E402

SERVER = None
CHUNK = 40000
CHUNKS = 27  # a little over 1 MB
MANY = 2000


def connections():
    return SERVER.api("GET", "/v1/sessions/count")["connections"]


def at_rest():
    until(lambda: connections() == 0, lambda: "%d connections left" % connections(), 20)
    until(lambda: SERVER.metric("stentor_tcp_send_references") == 0, "no reference is left")
    assert SERVER.metric("stentor_tcp_reorder_bytes") == 0


def chunk(number):
    return hashlib.sha256(b"%d" % number).hexdigest() * (CHUNK // 64)


# ---- a megabyte ----

def both_ways(prepare_sender=None, prepare_taker=None):
    """Into the server by one socket, out of it by another, and the contents are the same."""
    def case():
        with Stream(SERVER, prepare=prepare_sender, timeout=30) as sender, \
                Stream(SERVER, prepare=prepare_taker, timeout=30) as taker:
            sender.login("juliet", "secret")
            taker.login("romeo", "secret")
            sent, came = hashlib.sha256(), hashlib.sha256()
            for number in range(CHUNKS):
                body = chunk(number)
                sent.update(body.encode())
                sender.message(taker.jid, body)
                came.update(body_of(taker.take_message()).encode())
            assert came.digest() == sent.digest()
            sender.close()
            taker.close()
        at_rest()
    return case


def up_at_once():
    """A megabyte without a pause, as fast as the window lets it."""
    before = SERVER.metric('stentor_xmpp_stanzas_received_total{kind="message"}')
    with Stream(SERVER, timeout=30) as sender:
        sender.login("juliet", "secret")
        sender.send("".join("<message type='headline' to='nobody@%s'><body>%s</body></message>"
                            % (DOMAIN, chunk(number)) for number in range(CHUNKS)))
        sender.ping()
        sender.close()
    after = SERVER.metric('stentor_xmpp_stanzas_received_total{kind="message"}')
    assert after - before == CHUNKS, after - before
    at_rest()


def down_at_once():
    """A megabyte of pushes waits for a reader with the smallest buffer the kernel gives, who then
    reads on. xmpp.outbox_bytes is 4 MB here."""
    with Stream(SERVER, prepare=small_buffer, timeout=30) as taker:
        taker.login("romeo", "secret")
        ids = [SERVER.api("POST", "/v1/pushes", {
            "target": {"users": ["romeo"]},
            "notification": {"title": "%d" % number, "body": chunk(number)}})["id"]
            for number in range(CHUNKS)]
        time.sleep(1)
        row = SERVER.api("GET", "/v1/sessions?user=romeo")["items"][0]
        assert row["queued_bytes"] > 500000, row
        messages = [taker.take_message(30) for _ in ids]
        assert sorted(message.get("id") for message in messages) == sorted(ids)
        for message in messages:
            assert body_of(message) == chunk(int(message.findtext(CLIENT + "subject")))
        taker.close()
    at_rest()


def small_segments(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)


def small_buffer(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)


def large_buffer(sock):
    """Before connect: the kernel then offers a window scale that fits it."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)


def lossy():
    """One packet in thirty is lost, each way, by chance. What the kernel sends is led astray to lo:
    were it dropped, the sender would know at once."""
    if shutil.which("nft") is None:
        raise Skip("nft is not installed (Debian package nftables)")
    rules = ("add table netdev loss; "
             "add chain netdev loss in { type filter hook ingress device stn0 priority 0; }; "
             "add chain netdev loss out { type filter hook egress device stn0 priority 0; }; "
             "add rule netdev loss in ip protocol tcp numgen random mod 30 0 drop; "
             "add rule netdev loss out ip protocol tcp numgen random mod 30 0 fwd to lo")
    done = SERVER.run(["nft", rules], check=False, stderr=subprocess.PIPE)
    if done.returncode != 0:
        raise Skip("nft cannot lose packets here: " + done.stderr.decode().splitlines()[0])
    SERVER.run(["ip", "link", "set", "stn0", "gso_max_segs", "1"])  # lose segments, not trains of them
    before = SERVER.metrics()
    try:
        both_ways()()
    finally:
        SERVER.run(["ip", "link", "set", "stn0", "gso_max_segs", "65535"])
        SERVER.run(["nft", "delete", "table", "netdev", "loss"])
    after = SERVER.metrics()
    for name in ("stentor_tcp_retransmits_total", "stentor_tcp_out_of_order_total"):
        assert after[name] > before[name], name


def stanza_of_the_limit():
    """262,144 octets in segments of 536, cut anywhere; it comes out as it went in."""
    empty = "<message to='romeo@%s/raw' type='chat'><body></body></message>" % DOMAIN
    body = "z" * (262144 - len(empty))
    with Stream(SERVER, prepare=small_segments) as sender, Stream(SERVER) as taker:
        sender.login("juliet", "secret")
        taker.login("romeo", "secret")
        octets = empty.replace("<body>", "<body>" + body).encode()
        chance = random.Random(7)
        while octets:
            size = chance.randrange(1, 20000)
            sender.send(octets[:size])
            octets = octets[size:]
        assert body_of(taker.take_message(20)) == body
        sender.close()
        taker.close()
    at_rest()


# ---- ends ----

def half_close():
    """A peer that says goodbye and no more still gets the answer and the end."""
    with Stream(SERVER) as stream:
        stream.login("juliet", "secret")
        stream.send("</stream:stream>")
        stream.socket.shutdown(socket.SHUT_WR)
        stream.rest()
        assert stream.closed_by == "end" and stream.is_stream_closed
    at_rest()


def half_close_without_word():
    with Stream(SERVER) as stream:
        stream.login("juliet", "secret")
        stream.socket.shutdown(socket.SHUT_WR)
        stream.rest()
        assert stream.closed_by == "end" and stream.is_stream_closed
    at_rest()


def reset():
    counter = 'stentor_tcp_closed_total{why="reset"}'
    before = SERVER.metric(counter)
    with Stream(SERVER) as stream:
        stream.login("juliet", "secret")
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    until(lambda: SERVER.metric(counter) == before + 1, "the reset is counted")
    at_rest()


def refused_port():
    before = SERVER.metric('stentor_tcp_resets_total{direction="sent"}')
    try:
        SERVER.connect(port=5299)
    except ConnectionRefusedError:
        assert SERVER.metric('stentor_tcp_resets_total{direction="sent"}') == before + 1
        return
    raise AssertionError("a closed port was not refused")


def many():
    """Each in its own way: at once, after the header, by reset."""
    for number in range(MANY):
        sock = SERVER.connect()
        if number % 3 == 1:
            sock.send(b"<stream:stream")
        elif number % 3 == 2:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    at_rest()


def many_at_once():
    socks = [SERVER.connect() for _ in range(500)]
    until(lambda: connections() == 500, "500 connections are there")
    for sock in socks:
        sock.close()
    at_rest()


# ---- below TCP ----

def ping_sizes():
    before = SERVER.metric("stentor_net_echo_replies_total")
    sizes = (0, 1, 17, 56, 1000, 1471, 1472)
    for size in sizes:
        SERVER.run(["ping", "-q", "-c", "2", "-i", "0.02", "-W", "2", "-s", str(size), "-M", "do",
                    harness.ADDRESS], stdout=subprocess.DEVNULL)
    assert SERVER.metric("stentor_net_echo_replies_total") == before + 2 * len(sizes)


def arp():
    """Asked by broadcast and by unicast we answer; asked for another's address we do not; and a
    kernel that has forgotten us finds us again."""
    with frames.Wire(SERVER) as wire:  # its making is a broadcast request with its answer
        is_reply = lambda frame: frame[12:14] == b"\x08\x06" and frame[21] == 2  # noqa: E731
        wire.send(wire.frame(wire.arp(), 0x0806))
        assert wire.wait_for(is_reply)[28:32] == frames.OURS
        wire.send(b"\xff" * 6 + wire.own + b"\x08\x06" + wire.arp(destination="10.99.0.200"))
        try:
            wire.wait_for(is_reply, 0.5)
        except TimeoutError:
            pass
        else:
            raise AssertionError("answered for another")
    for _ in range(3):
        SERVER.run(["ip", "neigh", "flush", "dev", "stn0"])
        with Stream(SERVER) as stream:
            stream.open()
    until(lambda: connections() == 0, "no connection is left")


def cases_of(workers):
    cases = [("megabyte", both_ways()),
             ("megabyte-small-segments", both_ways(small_segments, small_segments)),
             ("megabyte-small-buffer", both_ways(small_buffer, small_buffer)),
             ("megabyte-large-buffer", both_ways(large_buffer, large_buffer)),
             ("megabyte-up-at-once", up_at_once), ("megabyte-down-at-once", down_at_once),
             ("megabyte-with-loss", lossy), ("stanza-of-the-limit", stanza_of_the_limit),
             ("half-close", half_close), ("half-close-without-word", half_close_without_word),
             ("reset", reset), ("refused-port", refused_port), ("many-connections", many),
             ("many-at-once", many_at_once), ("ping-sizes", ping_sizes), ("arp", arp)]
    return [("%s-%d-workers" % (name, workers), case) for name, case in cases]


def main():
    global SERVER
    failed = 0
    for workers in (1, 2):
        # Of two queues, the ACK of a handshake may come after the RST of a client that went at once.
        options = {"server.workers": workers, "xmpp.outbox_bytes": "4M", "xmpp.auth_time": "5s"}
        with harness.Server(options=options) as SERVER:
            for user in ("juliet", "romeo"):
                SERVER.add_user(user, "secret")
            failed |= harness.main(cases_of(workers))
    return failed


if __name__ == "__main__":
    sys.exit(main())
