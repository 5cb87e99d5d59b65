# SPDX-License-Identifier: Apache-2.0
"""Raw frames on the server's TAP device, for tests that must say what no kernel would."""
import fcntl
import socket
import struct

import harness

OURS = socket.inet_aton(harness.ADDRESS)
SYN, RST, ACK, FIN = 2, 4, 16, 1


def checksum(octets):
    if len(octets) % 2:
        octets += b"\0"
    total = sum(struct.unpack("!%dH" % (len(octets) // 2), octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def ipv4(source, destination, protocol, payload, fragment=0, ttl=64):
    head = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 1, fragment, ttl, protocol, 0,
                       source, destination)
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def tcp(source, port, sequence, flags, acknowledged=0, payload=b"", destination_port=5222):
    """A whole IPv4 packet to the server, checksums right."""
    head = struct.pack("!HHIIBBHHH", port, destination_port, sequence & 0xFFFFFFFF,
                       acknowledged & 0xFFFFFFFF, 5 << 4, flags, 65535, 0, 0)
    pseudo = source + OURS + struct.pack("!BBH", 0, 6, len(head) + len(payload))
    total = checksum(pseudo + head + payload)
    return ipv4(source, OURS, 6, head[:16] + struct.pack("!H", total) + head[18:] + payload)


class Wire:
    """A packet socket on stn0 and the two hardware addresses."""

    def __init__(self, server):
        with server.inside():
            self.socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
            self.socket.bind(("stn0", 0x0003))
            own = fcntl.ioctl(self.socket, 0x8927, struct.pack("16s24x", b"stn0"))  # SIOCGIFHWADDR
        self.own = own[18:24]
        self.server = self._ask()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    def send(self, frame):
        """False when the device's queue is full."""
        try:
            self.socket.send(frame)
            return True
        except OSError:
            return False

    def frame(self, packet, kind=0x0800):
        return self.server + self.own + struct.pack("!H", kind) + packet

    def arp(self, operation=1, source=harness.KERNEL_ADDRESS, destination=harness.ADDRESS):
        return struct.pack("!HHBBH6s4s6s4s", 1, 0x0800, 6, 4, operation, self.own,
                           socket.inet_aton(source), bytes(6), socket.inet_aton(destination))

    def wait_for(self, is_wanted, seconds=5):
        """The next frame from the server that is wanted."""
        self.socket.settimeout(seconds)
        while True:
            frame, address = self.socket.recvfrom(2048)
            if address[2] != socket.PACKET_OUTGOING and is_wanted(frame):
                return frame

    def _ask(self):
        self.send(b"\xff" * 6 + self.own + struct.pack("!H", 0x0806) + self.arp())
        reply = self.wait_for(lambda frame: frame[12:14] == b"\x08\x06" and frame[21] == 2 and
                              frame[28:32] == OURS)
        return reply[22:28]
