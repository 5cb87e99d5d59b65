#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Linux kernel as TCP's peer over TAP: connect, a megabyte each way, small segments and windows,
half-close, reset, many connections, ping sizes."""
import hashlib
import os
import socket
import struct
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "interop"))

import harness  # noqa: E402
from harness import until  # noqa: E402
from stream import CLIENT, Stream  # noqa: E402

SERVER = None
CHUNK = 40000
CHUNKS = 26  # a little over 1 MB


def connections():
    return SERVER.api("GET", "/v1/sessions/count")["connections"]


def at_rest():
    until(lambda: connections() == 0, lambda: "%d connections left" % connections(), 20)


def bodies(stream, count):
    digest = hashlib.sha256()
    for _ in range(count):
        message = stream.take_until(lambda element: element.tag == CLIENT + "message", 30)
        digest.update(message.find(CLIENT + "body").text.encode())
    return digest.hexdigest()


def megabyte(prepare_sender=None, prepare_taker=None):
    """Through the server: a megabyte into it by one socket, out of it by another."""
    def case():
        with Stream(SERVER, prepare=prepare_sender) as sender, \
                Stream(SERVER, prepare=prepare_taker) as taker:
            sender.login("juliet", "secret")
            taker.login("romeo", "secret")
            digest = hashlib.sha256()
            taken = []
            for number in range(CHUNKS):
                body = hashlib.sha256(b"%d" % number).hexdigest() * (CHUNK // 64)
                digest.update(body.encode())
                sender.send("<message to='%s'><body>%s</body></message>" % (taker.jid, body))
                message = taker.take_until(lambda element: element.tag == CLIENT + "message", 30)
                taken.append(message.find(CLIENT + "body").text)
            assert hashlib.sha256("".join(taken).encode()).hexdigest() == digest.hexdigest()
        at_rest()
    return case


def small_segments(sock):
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_MAXSEG, 536)


def small_window(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)


def half_close():
    """A peer that says no more still gets the answer and the end."""
    with Stream(SERVER) as stream:
        stream.login("juliet", "secret")
        stream.send("</stream:stream>")
        stream.socket.shutdown(socket.SHUT_WR)
        stream.rest(10)
        assert stream.closed_by == "end" and stream.is_stream_closed
    at_rest()


def half_close_without_word():
    with Stream(SERVER) as stream:
        stream.login("juliet", "secret")
        stream.socket.shutdown(socket.SHUT_WR)
        stream.rest(10)
        assert stream.closed_by == "end" and stream.is_stream_closed
    at_rest()


def reset():
    name = 'stentor_tcp_closed_total{why="reset"}'
    before = SERVER.metrics()
    with Stream(SERVER) as stream:
        stream.login("juliet", "secret")
        stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    at_rest()
    moved = sum(value - before.get(key, 0) for key, value in SERVER.metrics().items()
                if "closed" in key and "reset" in key)
    assert moved >= 1, name


def refused():
    try:
        SERVER.connect(port=5299)
    except ConnectionRefusedError:
        return
    raise AssertionError("a closed port was not refused")


def many():
    for _ in range(2000):
        SERVER.connect().close()
    at_rest()


def ping_sizes():
    for size in (0, 1, 56, 1000, 1472):
        SERVER.run(["ping", "-c", "2", "-i", "0.05", "-W", "2", "-s", str(size), "-M", "do",
                    harness.ADDRESS], stdout=subprocess.DEVNULL)


def main():
    global SERVER
    cases = [("megabyte", megabyte()),
             ("megabyte-small-segments", megabyte(small_segments, small_segments)),
             ("megabyte-small-window", megabyte(small_window, small_window)),
             ("half-close", half_close), ("half-close-without-word", half_close_without_word),
             ("reset", reset), ("refused", refused), ("many-connections", many),
             ("ping-sizes", ping_sizes)]
    with harness.Server() as SERVER:
        for user in ("juliet", "romeo"):
            SERVER.add_user(user, "secret")
        return harness.main(cases)


if __name__ == "__main__":
    sys.exit(main())
