#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""What idle streams cost a whole server on a TAP device, with the Linux kernel as the peer.

    sudo bench/idle.py [--count 10000] [--from 2000] [--seconds 20] [--workers 1] [--build DIR] [--json]

Logs plain sockets in (SASL PLAIN, bind, presence), a few hundred at a time, up to --from and then
up to --count. Prints the growth of resident memory a stream between the two sizes (hugepages
included), the share of a core that the idle server takes with no stream and with all of them, and
one push to all online: when the last copy came and how many came.
"""
import argparse
import base64
import json
import os
import resource
import select
import socket
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))
sys.dont_write_bytecode = True

import harness  # noqa: E402

RESOURCES = 10      # sessions an account, the default of xmpp.resources_max
BATCH = 256         # logins under way at once
LOGIN_SECONDS = 120
PUSH_SECONDS = 30
TICKS = os.sysconf("SC_CLK_TCK")
HEADER = ("<stream:stream to='%s' version='1.0' xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>" % harness.DOMAIN)


class Client:
    """One stream: what to say next, and the words that tell that it is time."""

    def __init__(self, server, account, resource):
        self.socket = server.connect(timeout=10)
        self.socket.setblocking(False)
        self.received = b""
        self.pushes = 0
        token = base64.b64encode(b"\0%s\0secret" % account.encode()).decode()
        self.steps = [
            (b"</stream:features>", "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                                    "mechanism='PLAIN'>%s</auth>" % token),
            (b"<success", HEADER),
            (b"</stream:features>", "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:"
                                    "xmpp-bind'><resource>%s</resource></bind></iq>" % resource),
            (b"</jid></bind>", "<presence><priority>1</priority></presence>"
                               "<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>"),
            (b"id='p'", None),
        ]
        self.socket.send(HEADER.encode())

    def read(self):
        """Takes what came; true when this step of the login is done and the next was said."""
        octets = self.socket.recv(1 << 16)
        if not octets:
            raise RuntimeError("the server closed a stream: %r" % self.received[-200:])
        self.received += octets
        while self.steps:
            mark, answer = self.steps[0]
            if mark not in self.received and mark.replace(b"'", b'"') not in self.received:
                return False
            self.received = b""
            self.steps.pop(0)
            if answer is not None:
                self.socket.send(answer.encode())
        return True

    def take_pushes(self):
        try:
            while octets := self.socket.recv(1 << 16):
                self.received += octets
        except BlockingIOError:
            pass
        count = self.received.count(b"</message>")
        if count:
            self.pushes += count
            self.received = self.received.rpartition(b"</message>")[2]
        return count


class Crowd:
    def __init__(self, server):
        self.server = server
        self.clients = {}
        self.poll = select.epoll()

    def grow(self, count):
        """Logs in until there are that many; returns the seconds it took."""
        began = time.monotonic()
        waiting = set()
        while len(self.clients) < count or waiting:
            while len(self.clients) < count and len(waiting) < BATCH:
                number = len(self.clients)
                client = Client(self.server, "user%d" % (number // RESOURCES), "r%d" % number)
                self.clients[client.socket.fileno()] = client
                waiting.add(client)
                self.poll.register(client.socket.fileno(), select.EPOLLIN)
            for descriptor, _ in self.poll.poll(1):
                client = self.clients[descriptor]
                if client in waiting:
                    if client.read():
                        waiting.discard(client)
                else:
                    client.take_pushes()
            if time.monotonic() - began > LOGIN_SECONDS:
                raise RuntimeError("%d of %d logins stood still; the first: %r, last heard %r"
                                   % (len(waiting), count, next(iter(waiting)).steps[0][0],
                                      next(iter(waiting)).received[-200:]))
        self.calm(0.5)
        return time.monotonic() - began

    def calm(self, seconds):
        """Reads what still comes (presence of the account's others) until it is quiet."""
        while events := self.poll.poll(seconds):
            for descriptor, _ in events:
                self.clients[descriptor].take_pushes()

    def push(self):
        """One push to all online: seconds to the first and last arrival, and counts."""
        for client in self.clients.values():
            client.received, client.pushes = b"", 0
        arrived, last, first = 0, None, None
        began = time.monotonic()
        answer = self.server.api("POST", "/v1/pushes", {
            "target": {"online": True}, "notification": {"title": "Hear", "body": "all of you"}})
        while arrived < len(self.clients) and time.monotonic() - began < PUSH_SECONDS:
            for descriptor, _ in self.poll.poll(0.2):
                got = self.clients[descriptor].take_pushes()
                if got:
                    arrived += got
                    last = time.monotonic()
                    first = first or last
        self.calm(0.3)
        twice = sum(client.pushes > 1 for client in self.clients.values())
        state = harness.until(
            lambda: (lambda push: push if push["state"] == "done" else None)(
                self.server.api("GET", "/v1/pushes/" + answer["id"])), "the push is done", 10)
        return {"arrived": sum(client.pushes > 0 for client in self.clients.values()),
                "twice": twice, "acknowledged": state["counts"]["acked_tcp"],
                "first_ms": round((first - began) * 1000, 1) if first else None,
                "last_ms": round((last - began) * 1000, 1) if last else None}

    def close(self):
        for client in self.clients.values():
            client.socket.close()


def memory_bytes(pid):
    """Resident memory and hugepages of the process."""
    total = 0
    with open("/proc/%d/smaps_rollup" % pid, encoding="ascii") as file:
        for line in file:
            name, _, value = line.partition(":")
            if name in ("Rss", "Shared_Hugetlb", "Private_Hugetlb"):
                total += int(value.split()[0]) * 1024
    return total


def cpu_seconds(pid):
    """User and system time of all threads."""
    with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def cpu_share(pid, seconds):
    """Share of one core, in percent, over that time. A tick is 10 ms, so 20 s show 0.05 %."""
    before, began = cpu_seconds(pid), time.monotonic()
    time.sleep(seconds)
    return 100 * (cpu_seconds(pid) - before) / (time.monotonic() - began)


def measure(options):
    limit = options.count + 200
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    if hard != resource.RLIM_INFINITY and hard < limit:
        sys.exit("error: %d open files needed, the hard limit is %d" % (limit, hard))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, hard))
    settings = {"server.workers": options.workers, "server.drain": "1s",
                "tcp.connections_per_address": options.count + 100}
    with harness.Server(build=options.build, options=settings) as server:
        with server.inside():
            with open("/proc/sys/net/ipv4/ip_local_port_range", "w", encoding="ascii") as file:
                file.write("1024 65000")
        for number in range(-(-options.count // RESOURCES)):
            server.add_user("user%d" % number, "secret")
        time.sleep(1)
        figures = {"count": options.count, "from": options.start, "workers": options.workers,
                   "cpu_percent_no_streams": round(cpu_share(server.pid(), options.seconds), 2),
                   "memory_no_streams": memory_bytes(server.pid())}
        crowd = Crowd(server)
        seconds = crowd.grow(options.start)
        time.sleep(options.settle)
        low = memory_bytes(server.pid())
        seconds += crowd.grow(options.count)
        time.sleep(options.settle)
        high = memory_bytes(server.pid())
        metrics = server.metrics()
        figures.update({
            "bound": int(metrics['stentor_streams{state="bound"}']),
            "logins_per_second": round(options.count / seconds),
            "memory_low": low, "memory_high": high,
            "bytes_per_stream": round((high - low) / (options.count - options.start)),
            "hot_connections": int(metrics["stentor_tcp_hot_connections"]),
            "cpu_percent_idle": round(cpu_share(server.pid(), options.seconds), 2),
            "memory_after_idle": memory_bytes(server.pid()), "push": crowd.push()})
        crowd.close()
    return figures


def table(figures):
    mib = 1 << 20
    push = figures["push"]
    rows = [
        ("streams bound and available", "%d" % figures["bound"]),
        ("logins a second (PLAIN, PBKDF2 included)", "%d" % figures["logins_per_second"]),
        ("memory with no stream", "%.1f MiB" % (figures["memory_no_streams"] / mib)),
        ("memory with %d streams" % figures["from"], "%.1f MiB" % (figures["memory_low"] / mib)),
        ("memory with %d streams" % figures["count"], "%.1f MiB" % (figures["memory_high"] / mib)),
        ("memory after %s s of idling" % figures["seconds"],
         "%.1f MiB" % (figures["memory_after_idle"] / mib)),
        ("memory a stream, by slope", "%d bytes" % figures["bytes_per_stream"]),
        ("processor, no stream", "%.2f %% of a core" % figures["cpu_percent_no_streams"]),
        ("processor, all idle", "%.2f %% of a core" % figures["cpu_percent_idle"]),
        ("push to online: arrived", "%d of %d, %d twice, %d acknowledged"
         % (push["arrived"], figures["count"], push["twice"], push["acknowledged"])),
        ("push to online: first, last arrival", "%s ms, %s ms" % (push["first_ms"],
                                                                   push["last_ms"])),
    ]
    for name, value in rows:
        print("%-42s %s" % (name, value))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--from", type=int, default=2000, dest="start")
    parser.add_argument("--seconds", type=float, default=20, help="of each look at the processor")
    parser.add_argument("--settle", type=float, default=6, help="seconds before memory is read")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--build", default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("error: this needs root (a TAP device in a network namespace of its own)")
    options.start = min(options.start, options.count // 2)
    figures = measure(options)
    figures["seconds"] = options.seconds
    print(json.dumps(figures)) if options.json else table(figures)
    push = figures["push"]
    sys.exit(0 if (push["arrived"], push["twice"]) == (options.count, 0) else 1)


if __name__ == "__main__":
    main()
