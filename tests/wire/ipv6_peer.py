#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The Linux kernel as the peer in IPv6 and on a VLAN, over TAP: neighbour discovery both ways, pings
of all sizes, a megabyte each way, streams over every address, an address somebody else has, routers
that advertise themselves and one that falls silent. With one worker and with two."""
import contextlib
import fcntl
import hashlib
import os
import select
import socket
import struct
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))),
                                "interop"))

import harness  # noqa: E402
from harness import until  # noqa: E402
from stream import Stream, body_of  # noqa: E402

SERVER = None
V4 = harness.ADDRESS
V6 = "2001:db8:9::2"
KERNEL6 = "2001:db8:9::1"
VLAN = 7
V4_TAGGED = "10.99.7.2"
V6_TAGGED = "2001:db8:7::2"
SAME = "2001:db8:5::2"  # on both links
TAKEN = "2001:db8:9::66"  # the kernel has it
FAR = "2001:db8:ffff::1"  # behind a router
CHUNK = 40000
CHUNKS = 14

OPTIONS = {
    "net.addresses": [V4 + "/24", V6 + "/64", TAKEN + "/64", SAME + "/64",
                      "%s/24%%%d" % (V4_TAGGED, VLAN), "%s/64%%%d" % (V6_TAGGED, VLAN),
                      "%s/64%%%d" % (SAME, VLAN)],
    "xmpp.outbox_bytes": "4M",
}


def ip(*words):
    SERVER.run(["ip"] + list(words))


class Tagger(threading.Thread):
    """stn0.7 where the kernel has no VLANs: a TAP device whose frames cross stn0 with our tag."""
    TUNSETIFF = 0x400454ca
    FLAGS = 0x1002  # IFF_TAP, IFF_NO_PI
    PACKET_AUXDATA = 8
    TAG = struct.pack("!HH", 0x8100, VLAN)

    def __init__(self):
        super().__init__(daemon=True)
        with SERVER.inside():
            self.tap = os.open("/dev/net/tun", os.O_RDWR)
            fcntl.ioctl(self.tap, self.TUNSETIFF, struct.pack("16sH14x", b"stn0.7", self.FLAGS))
            self.wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
            self.wire.bind(("stn0", 0))
        self.wire.setsockopt(263, self.PACKET_AUXDATA, 1)
        self.wire.setsockopt(263, 1, struct.pack("iHH8s", socket_index(self.wire), 1, 0, bytes(8)))
        self.wire.setsockopt(263, 23, 1)  # PACKET_IGNORE_OUTGOING
        self.stops, self.stop_end = os.pipe()

    def run(self):
        try:
            self._carry()
        finally:
            self.wire.close()
            os.close(self.tap)

    def _carry(self):
        while True:
            ready = select.select([self.tap, self.wire, self.stops], [], [])[0]
            if self.stops in ready:
                break
            if self.tap in ready:
                frame = os.read(self.tap, 2048)
                with contextlib.suppress(OSError):  # no room: lost, as on any wire
                    self.wire.send(frame[:12] + self.TAG + frame[12:])
            if self.wire in ready:
                frame, extra, _, _ = self.wire.recvmsg(2048, 256)
                if any(struct.unpack_from("IIIHHH", data)[5] & 0xfff == VLAN
                       for level, kind, data in extra if level == 263 and kind == 8):
                    with contextlib.suppress(OSError):
                        os.write(self.tap, frame)
    def end(self):
        os.write(self.stop_end, b"x")
        self.join(5)


def socket_index(sock):
    with SERVER.inside():
        return socket.if_nametoindex(sock.getsockname()[0])


def add_vlan():
    words = ["ip", "link", "add", "link", "stn0", "name", "stn0.7", "type", "vlan", "id", str(VLAN)]
    if SERVER.run(words, check=False, stderr=subprocess.DEVNULL).returncode == 0:
        return
    SERVER.tagger = Tagger()
    SERVER.tagger.start()


def set_up():
    """Before the server has found its addresses free: TAKEN must be there when it probes."""
    ip("-6", "addr", "add", TAKEN + "/64", "dev", "stn0", "nodad")
    ip("-6", "addr", "add", KERNEL6 + "/64", "dev", "stn0", "nodad")
    add_vlan()
    ip("link", "set", "stn0.7", "up")
    ip("addr", "add", "10.99.7.1/24", "dev", "stn0.7")
    ip("-6", "addr", "add", "2001:db8:7::1/64", "dev", "stn0.7", "nodad")


def ping(host, *words):
    return SERVER.run(["ping", "-q", "-c", "2", "-i", "0.02", "-W", "2"] + list(words) + [host],
                      check=False, stdout=subprocess.DEVNULL).returncode == 0


def pings():
    """To each address, and of all sizes that fit."""
    for host in (V4, V6, V4_TAGGED, V6_TAGGED):
        until(lambda host=host: ping(host), "no answer from " + host, 15)
    for size in (0, 1, 8, 56, 57, 1232, 1452):
        assert ping(V6, "-s", str(size), "-M", "do"), size
        assert ping(V6_TAGGED, "-s", str(size), "-M", "do"), size


def link_local():
    """The address made from the MAC answers, on both links."""
    mac = [line.split()[4] for line in SERVER.run(
        ["ip", "-6", "neigh", "show", V6], capture_output=True, text=True).stdout.splitlines()][0]
    octets = bytes.fromhex(mac.replace(":", ""))
    address = socket.inet_ntop(socket.AF_INET6, b"\xfe\x80" + bytes(6) + bytes(
        [octets[0] ^ 2]) + octets[1:3] + b"\xff\xfe" + octets[3:])
    assert ping(address + "%stn0")
    assert ping(address + "%stn0.7")
    with SERVER.inside():
        made = socket.create_connection((address + "%stn0", 5222), 5)
    made.close()


def login(host):
    def case():
        with Stream(SERVER, host=host) as stream:
            stream.login("juliet", "secret")
            stream.ping()
            row = SERVER.api("GET", "/v1/sessions?user=juliet")["items"][0]
            wanted = stream.socket.getsockname()[0]
            assert row["address"] == wanted, row
            stream.close()
    return case


def both_ways(host):
    """Half a megabyte into the server and out of it, and the contents are the same."""
    def case():
        with Stream(SERVER, host=host, timeout=30) as sender, \
                Stream(SERVER, host=host, timeout=30) as taker:
            sender.login("juliet", "secret")
            taker.login("romeo", "secret")
            for number in range(CHUNKS):
                body = hashlib.sha256(b"%d" % number).hexdigest() * (CHUNK // 64)
                sender.message(taker.jid, body)
                assert body_of(taker.take_message()) == body
            sender.close()
            taker.close()
    return case


def forgotten():
    """A kernel that has forgotten us finds us again, and we find it when it has moved."""
    for _ in range(3):
        ip("-6", "neigh", "flush", "dev", "stn0")
        with Stream(SERVER, host=V6) as stream:
            stream.open()


def conflicts():
    return SERVER.metric('stentor_net_dropped_packets_total{reason="ndp-conflict"}')


def duplicate():
    """The address the kernel has was found taken, and is not used."""
    assert conflicts() >= 1, "no conflict was seen"
    ip("-6", "addr", "del", TAKEN + "/64", "dev", "stn0")
    assert not ping(TAKEN, "-c", "1", "-W", "1")


def same_on_both():
    """One address on two links: each answers for itself."""
    for device, own in (("stn0", "2001:db8:5::1"), ("stn0.7", "2001:db8:5::7")):
        ip("-6", "addr", "add", own + "/64", "dev", device, "nodad")
        until(lambda device=device: ping(SAME, "-I", device), "no answer on " + device, 5)
        with Stream(SERVER, host=SAME) as stream:
            stream.login("juliet", "secret")
            stream.close()
        ip("-6", "addr", "del", own + "/64", "dev", device)


def advertise(device, lifetime):
    """One router advertisement of the kernel's link-local address, with nothing but a lifetime."""
    with SERVER.inside():
        index = socket.if_nametoindex(device)
        raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    with raw:
        raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 255)
        raw.sendto(struct.pack("!BBHBBHII", 134, 0, 0, 64, 0, lifetime, 0, 0),
                   ("ff02::1", 0, 0, index))


def router():
    """Off-link peers are nobody's until a router advertises itself, and again when it leaves."""
    ip("-6", "addr", "add", FAR + "/128", "dev", "lo", "nodad")
    ip("-6", "route", "replace", V6 + "/128", "dev", "stn0", "src", FAR)
    SERVER.run(["sysctl", "-qw", "net.ipv6.conf.stn0.forwarding=1"])
    try:
        assert not ping(V6, "-c", "1", "-W", "1", "-I", FAR)
        advertise("stn0", 1800)
        until(lambda: ping(V6, "-I", FAR), "no way back", 5)
        with Stream(SERVER, host=V6, source=FAR) as stream:
            stream.login("juliet", "secret")
            stream.close()
        advertise("stn0", 0)
        until(lambda: not ping(V6, "-c", "1", "-W", "1", "-I", FAR), "the router stays", 5)
    finally:
        ip("-6", "route", "del", V6 + "/128", "dev", "stn0")
        ip("-6", "addr", "del", FAR + "/128", "dev", "lo")


def at_rest():
    until(lambda: SERVER.api("GET", "/v1/sessions/count")["connections"] == 0,
          "connections are left", 20)
    assert SERVER.metric("stentor_tcp_send_references") == 0


def cases_of(workers):
    cases = [("pings", pings), ("link-local", link_local), ("duplicate", duplicate)]
    cases += [("login-" + name, login(host)) for name, host in
              (("ipv4", V4), ("ipv6", V6), ("vlan-ipv4", V4_TAGGED), ("vlan-ipv6", V6_TAGGED))]
    cases += [("both-ways-ipv6", both_ways(V6)), ("both-ways-vlan-ipv6", both_ways(V6_TAGGED)),
              ("both-ways-vlan-ipv4", both_ways(V4_TAGGED)), ("forgotten", forgotten),
              ("same-on-both", same_on_both), ("router", router), ("at-rest", at_rest)]
    return [("%s-%d-workers" % (name, workers), case) for name, case in cases]


class Six(harness.Server):
    """The kernel's addresses are set as soon as the device is there: the server probes its own within
    a second of its start. On a busy machine that can be too late, so it is started again."""
    tagger = None

    def start(self):
        for _ in range(4):
            super().start()
            try:
                until(conflicts, "no conflict was seen", 4)
                return
            except AssertionError:
                self._end_tagger()
                self.stop()

    def _end_tagger(self):
        if self.tagger is not None:
            self.tagger.end()
        self.tagger = None

    def __exit__(self, *why):
        self._end_tagger()
        super().__exit__(*why)

    def _has_address(self):
        if not super()._has_address():
            return False
        global SERVER
        SERVER = self
        set_up()
        return True


def main():
    failed = 0
    for workers in (1, 2):
        began = time.monotonic()
        with Six(options=dict(OPTIONS, **{"server.workers": workers})) as server:
            for user in ("juliet", "romeo"):
                server.add_user(user, "secret")
            failed |= harness.main(cases_of(workers))
        print("     %d workers: %.0f s" % (workers, time.monotonic() - began))
    return failed


if __name__ == "__main__":
    sys.exit(main())
