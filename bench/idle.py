#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Idle streams over TAP: kernel-socket clients log in, go online and fall silent.

    sudo bench/idle.py [--count 10000] [--seconds 20] [--json]

Prints the server's memory growth a stream (resident set and hugepages, by slope between a fifth of
the clients and all of them), its CPU while idle with no stream and with all, and one push to all of
them: the time to the last arrival and what was counted. Needs root and a build in build/ (or
STENTOR_BUILD). Client and server share the machine's cores."""
import argparse
import base64
import json
import os
import select
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))

import harness  # noqa: E402

ACCOUNT_SESSIONS = 100  # xmpp.resources_max at its ceiling
WINDOW = 256            # logins under way at once
HEADER = ("<?xml version='1.0'?><stream:stream to='%s' version='1.0' xmlns='jabber:client' "
          "xmlns:stream='http://etherx.jabber.org/streams'>" % harness.DOMAIN).encode()
BIND = ("<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'><resource>r%d"
        "</resource></bind></iq>")


class Client:
    """A login as a row of (what to wait for, what to say then)."""

    def __init__(self, server, number):
        self.socket = server.connect()
        name = b"user%d" % (number // ACCOUNT_SESSIONS)
        secret = base64.b64encode(b"\0" + name + b"\0secret")
        self.steps = [
            (b"</stream:features>", b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' "
                                    b"mechanism='PLAIN'>" + secret + b"</auth>"),
            (b"<success", HEADER),
            (b"</stream:features>", (BIND % (number % ACCOUNT_SESSIONS)).encode()),
            (b"</iq>", b"<presence/>"),
            (b"<presence", None)]
        self.heard = b""
        self.socket.sendall(HEADER)

    def read(self):
        """True when online."""
        octets = self.socket.recv(65536)
        if not octets:
            raise RuntimeError("the server closed a stream: %r" % self.heard[-300:])
        self.heard += octets
        while self.steps and self.steps[0][0] in self.heard:
            self.heard = self.heard.split(self.steps[0][0], 1)[1]
            word = self.steps.pop(0)[1]
            if word is not None:
                self.socket.sendall(word)
        return not self.steps


def log_in(server, first, last):
    poll, waiting, online, number = select.epoll(), {}, [], first
    while len(online) < last - first:
        while number < last and len(waiting) < WINDOW:
            client = Client(server, number)
            number += 1
            waiting[client.socket.fileno()] = client
            poll.register(client.socket, select.EPOLLIN)
        for descriptor, _ in poll.poll(30) or [(None, None)]:
            if descriptor is None:
                raise RuntimeError("logins stopped at %d" % len(online))
            if waiting[descriptor].read():
                poll.unregister(descriptor)
                online.append(waiting.pop(descriptor))
        if sys.stderr.isatty():
            print("\r%d of %d online" % (first + len(online), last), end="", file=sys.stderr)
    return online


def drain(clients, seconds):
    """Takes what still comes (presence of others of the account) until all are silent."""
    poll = select.epoll()
    for client in clients:
        poll.register(client.socket, select.EPOLLIN)
    by_descriptor = {client.socket.fileno(): client for client in clients}
    while True:
        events = poll.poll(seconds)
        if not events:
            return
        for descriptor, _ in events:
            by_descriptor[descriptor].socket.recv(1 << 20)


def memory_bytes(pid):
    total = 0
    with open("/proc/%d/status" % pid, encoding="utf-8") as file:
        for line in file:
            if line.startswith(("VmRSS:", "HugetlbPages:")):
                total += int(line.split()[1]) * 1024
    return total


def cpu_share(pid, seconds):
    def ticks():
        with open("/proc/%d/stat" % pid, encoding="utf-8") as file:
            fields = file.read().rpartition(")")[2].split()
        return int(fields[11]) + int(fields[12])
    before = ticks()
    time.sleep(seconds)
    return (ticks() - before) / os.sysconf("SC_CLK_TCK") / seconds


def push_all(server, clients):
    poll = select.epoll()
    for client in clients:
        poll.register(client.socket, select.EPOLLIN)
    by_descriptor = {client.socket.fileno(): client for client in clients}
    heard = {}
    began = last = time.monotonic()
    push = server.api("POST", "/v1/pushes", {"target": {"online": True},
                                             "notification": {"title": "T", "body": "B" * 64}})
    ending = b"</message>"
    while len(heard) < len(clients) and time.monotonic() - began < 60:
        for descriptor, _ in poll.poll(1):
            octets = by_descriptor[descriptor].socket.recv(65536)
            if ending in octets:
                heard[descriptor] = heard.get(descriptor, 0) + octets.count(ending)
                last = time.monotonic()
    harness.until(lambda: server.api("GET", "/v1/pushes/" + push["id"])["state"] == "done",
                  "the push is done", 30)
    counts = server.api("GET", "/v1/pushes/" + push["id"])["counts"]
    return {"push_last_ms": round((last - began) * 1000, 1), "push_arrived": sum(heard.values()),
            "push_matched": counts["matched"], "push_acked": counts["acked_tcp"]}


def measure(count, seconds):
    options = {"xmpp.resources_max": ACCOUNT_SESSIONS, "tcp.connections_per_address": 100000,
               "tcp.accept_rate": 1000000, "tcp.connections_max": 65536}
    with harness.Server(options=options) as server:
        for number in range((count + ACCOUNT_SESSIONS - 1) // ACCOUNT_SESSIONS):
            server.add_user("user%d" % number, "secret")
        figures = {"count": count, "idle_cpu_none": round(cpu_share(server.pid(), seconds / 2), 4)}
        few = max(count // 5, 1)
        clients = log_in(server, 0, few)
        drain(clients, 2)
        small = memory_bytes(server.pid())
        clients += log_in(server, few, count)
        drain(clients, 2)
        figures["rss_bytes_per_stream"] = round((memory_bytes(server.pid()) - small)
                                                / max(count - few, 1), 1)
        figures["rss_mb"] = round(memory_bytes(server.pid()) / 1e6, 1)
        figures["idle_cpu"] = round(cpu_share(server.pid(), seconds), 4)
        figures.update(push_all(server, clients))
        for client in clients:
            client.socket.close()
    return figures


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=10000)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    figures = measure(arguments.count, arguments.seconds)
    if arguments.json:
        print(json.dumps(figures))
        return
    for name, value in figures.items():
        print("%-22s %s" % (name, value))


if __name__ == "__main__":
    main()
