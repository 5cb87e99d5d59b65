# SPDX-License-Identifier: Apache-2.0
"""A path between two TCPs that goes through the impairing bridge.

    with Path("stentor", faults=["delay_us=20000", "loss_ppm=10000"]) as path:   # needs root
        path.upload(300000)      # Linux sends, the far end answers with count and SHA-256
        path.download(300000)    # the far end sends, Linux compares
        path.report              # after the block: counters of bridge and far end

       far end (10.99.0.2, fd99::2)          bridge              Linux (10.99.0.1, fd99::1)
    "stentor": tcp_peer ----- TAP stn0 ---\\        (or net_af_packet on a veth, MTU above 1500)
    "linux":   namespace ---- veth far ----> impair <--- veth near --- eth0 of a namespace

Both kinds of far end offer the services of services.h. Direction ab of the bridge is from the far
end to Linux. Namespaces, devices and processes are gone when the block ends; only processes
started here are ended, by pid. Standard library only.
"""
import array
import concurrent.futures
import contextlib
import ctypes
import hashlib
import json
import os
import select
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, os.path.join(ROOT, "tests", "interop"))

from harness import Skip, until  # noqa: E402,F401

FAR = {4: "10.99.0.2", 6: "fd99::2"}
NEAR = {4: "10.99.0.1", 6: "fd99::1"}
KEY = 20260
SINK, SOURCE, ECHO, CALLER = 9, 19, 7, 13
_MASK = (1 << 64) - 1
_CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
_counter = iter(range(1 << 30))
_content_lock = threading.Lock()
_content = b""


# ---- content ----

def _word(index):
    word = (KEY + (index + 1) * 0x9e3779b97f4a7c15) & _MASK
    word = ((word ^ word >> 30) * 0xbf58476d1ce4e5b9) & _MASK
    word = ((word ^ word >> 27) * 0x94d049bb133111eb) & _MASK
    return word ^ word >> 31


def content(size):
    """The first octets of the stream that the source gives for KEY."""
    global _content
    with _content_lock:
        if len(_content) < size:
            words = array.array("Q", map(_word, range(-(-size // 8))))
            _content = words.tobytes()  # little-endian, as all machines we run on
        return memoryview(_content)[:size]


def digest(size):
    return hashlib.sha256(content(size)).hexdigest()


# ---- namespaces ----

def _run(words, check=True):
    done = subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if check and done.returncode != 0:
        raise RuntimeError("%s: %s" % (" ".join(words), done.stderr.decode().strip()))
    return done.returncode == 0


class Namespace:
    def __init__(self):
        self.name = "wire-%d-%d" % (os.getpid(), next(_counter))
        _run(["ip", "netns", "add", self.name])
        self.run(["ip", "link", "set", "lo", "up"])

    def delete(self):
        _run(["ip", "netns", "del", self.name], check=False)

    def run(self, words, check=True):
        return _run(["ip", "netns", "exec", self.name] + words, check)

    def set(self, key, value):
        self.run(["sysctl", "-qw", "%s=%s" % (key, value)])

    def popen(self, words, **keywords):
        return subprocess.Popen(["ip", "netns", "exec", self.name] + words, **keywords)

    @contextlib.contextmanager
    def inside(self):
        """This thread is in the namespace; a socket stays in the one it was made in."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open("/run/netns/" + self.name, os.O_RDONLY)
        try:
            _enter(there)
            yield
        finally:
            _enter(home)
            os.close(home)
            os.close(there)

    def socket(self, family):
        with self.inside():
            return socket.socket(socket.AF_INET6 if family == 6 else socket.AF_INET,
                                 socket.SOCK_STREAM)


def _enter(namespace):
    if _libc.setns(namespace, _CLONE_NEWNET) != 0:
        raise OSError(ctypes.get_errno(), "setns")


# ---- the far end in Linux ----

class LinuxServer:
    """sink and source on kernel sockets of a namespace, a thread a connection."""

    def __init__(self, namespace, congestion):
        self.listeners = []
        for family in (4, 6):
            for port, serve in ((SINK, _serve_sink), (SOURCE, _serve_source)):
                listener = namespace.socket(family)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, congestion.encode())
                listener.bind((FAR[family], port))
                listener.listen(16)
                self.listeners.append(listener)
                threading.Thread(target=self._accept, args=(listener, serve), daemon=True).start()

    def close(self):
        for listener in self.listeners:
            with contextlib.suppress(OSError):
                listener.shutdown(socket.SHUT_RDWR)
            listener.close()

    @staticmethod
    def _accept(listener, serve):
        with contextlib.suppress(OSError):
            while True:
                made, _ = listener.accept()
                threading.Thread(target=_served, args=(serve, made), daemon=True).start()


def _served(serve, made):
    with made, contextlib.suppress(OSError):
        made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        serve(made)


def _serve_sink(made):
    hashed, count = hashlib.sha256(), 0
    while octets := made.recv(1 << 17):
        hashed.update(octets)
        count += len(octets)
    made.sendall(b"%d %s\n" % (count, hashed.hexdigest().encode()))


def _serve_source(made):
    with made.makefile("rb") as lines:
        for line in lines:
            made.sendall(content(int(line.split()[0])))


# ---- the path ----

class Path:
    def __init__(self, far="stentor", faults=(), seed=1, mtu=1500, near_mtu=None, device="tap",
                 offload="real", near_offload=True, options=None, seconds=120, trace=None,
                 congestion="cubic", sysctls=None, build=None, priority=0):
        self.far, self.faults, self.seed, self.device = far, list(faults), seed, device
        self.mtu, self.near_mtu = mtu, near_mtu or mtu
        self.offload, self.near_offload = offload, near_offload
        self.options, self.seconds, self.trace = options or {}, seconds, trace
        self.congestion, self.priority = congestion, priority
        self.sysctls = sysctls or {}
        self.build = build or os.environ.get("STENTOR_BUILD", os.path.join(ROOT, "build"))
        self.processes, self.namespaces = [], []
        self.server = None
        self.folder = None
        self.report = {}

    # -- life --

    def __enter__(self):
        try:
            self.folder = tempfile.mkdtemp(prefix="stentor-wire-")
            self.middle, self.near = self._namespace(), self._namespace()
            self.middle.set("net.ipv6.conf.all.disable_ipv6", 1)
            self.middle.set("net.ipv6.conf.default.disable_ipv6", 1)
            self._veth(self.middle, "near", self.near, NEAR, self.near_mtu, self.near_offload)
            if self.far == "linux":
                beyond = self._namespace()
                self._veth(self.middle, "far", beyond, FAR, self.mtu, True)
                self._start_bridge("far")
                self.server = LinuxServer(beyond, self.congestion)
            elif self.device == "tap":
                self._start_peer("tap:stn0")
                self.middle.run(["ip", "link", "set", "stn0", "up"])
                self._start_bridge("stn0")
            else:
                self._pair()
                self._start_peer("af_packet:stn0")
                self._start_bridge("far")
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        if self.server is not None:
            self.server.close()
        for name, process in self.processes:
            self.report[name] = self._end(process)
        for namespace in self.namespaces:
            namespace.delete()
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    def _namespace(self):
        made = Namespace()
        self.namespaces.append(made)
        return made

    def _veth(self, middle, name, end, addresses, mtu, has_offload):
        middle.run(["ip", "link", "add", name, "type", "veth", "peer", "eth0", "netns", end.name])
        for where, device in ((middle, name), (end, "eth0")):
            where.run(["ip", "link", "set", device, "mtu", str(mtu), "up"])
        if not has_offload:
            end.run(["ethtool", "-K", "eth0", "tx", "off", "tso", "off", "gso", "off", "gro", "off"])
        for key, value in {"net.ipv4.tcp_no_metrics_save": 1, **self.sysctls}.items():
            end.set(key, value)
        end.run(["ip", "addr", "add", addresses[4] + "/24", "dev", "eth0"])
        end.run(["ip", "addr", "add", addresses[6] + "/64", "dev", "eth0", "nodad"])

    def _start(self, name, words):
        log = open(os.path.join(self.folder, name), "wb")
        process = self.middle.popen(words, stdout=subprocess.PIPE, stderr=log)
        log.close()
        self.processes.append((name, process))
        ready = select.select([process.stdout], [], [], 30)[0]
        if not ready or process.stdout.readline() != b"ready\n":
            with open(os.path.join(self.folder, name), encoding="utf-8") as file:
                raise RuntimeError("%s did not start: %s" % (name, file.read().strip()))
        if self.priority:
            os.sched_setscheduler(process.pid, os.SCHED_FIFO, os.sched_param(self.priority))

    def _pair(self):
        """What net_af_packet opens, and the bridge's end of it."""
        self.middle.run(["ip", "link", "add", "stn0", "type", "veth", "peer", "far"])
        for device in ("stn0", "far"):
            self.middle.run(["ip", "link", "set", device, "mtu", str(self.mtu), "up"])

    def _start_peer(self, device):
        options = {"nic.device": device, "nic.memory": "64M", "nic.descriptors": 256,
                   "net.mtu": self.mtu, "tcp.connections_max": 1024, "tcp.hot_max": 512,
                   "tcp.receive_window": "512K", "xmpp.outbox_bytes": "1M"}
        options.update(address_options())
        options.update(self.options)
        path = os.path.join(self.folder, "peer.yml")
        with open(path, "w", encoding="utf-8") as file:
            file.write(yaml_of(options))
        self._start("peer", [os.path.join(self.build, "tests/wire/tcp_peer"), path,
                             str(self.seconds), self.offload])

    def _start_bridge(self, device):
        words = [os.path.join(self.build, "tests/wire/impair"), device, "near", str(self.seed),
                 str(self.seconds)]
        if self.trace:
            words.append("trace=" + self.trace)
        self._start("bridge", words + self.faults)

    @staticmethod
    def _end(process):
        """Its last words, which are JSON."""
        process.terminate()
        try:
            last = process.communicate(timeout=20)[0].decode().strip().rpartition("\n")[2]
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            last = ""
        report = {"exit": process.returncode}
        with contextlib.suppress(ValueError):
            report.update(json.loads(last))
        return report

    # -- what it is for --

    def connect(self, port, family=4, timeout=60, prepare=None):
        made = self.near.socket(family)
        try:
            made.settimeout(timeout)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_CONGESTION, self.congestion.encode())
            if prepare is not None:
                prepare(made)
            made.connect((FAR[family], port))
        except BaseException:
            made.close()
            raise
        return made

    def upload(self, size, family=4, timeout=60):
        """Linux sends; seconds from the first octet to the far end's answer. Raises when what
        arrived is not what was sent."""
        octets = content(size)
        with self.connect(SINK, family, timeout) as sock:
            began = time.monotonic()
            sock.sendall(octets)
            sock.shutdown(socket.SHUT_WR)
            answer = b""
            while part := sock.recv(1000):
                answer += part
            seconds = time.monotonic() - began
        wanted = b"%d %s\n" % (size, digest(size).encode())
        if answer != wanted:
            raise AssertionError("upload: answered %r, not %r" % (answer, wanted))
        return seconds

    def download(self, size, family=4, timeout=60):
        """The far end sends; seconds from asking to the last octet."""
        with self.connect(SOURCE, family, timeout) as sock:
            began = time.monotonic()
            sock.sendall(b"%d %d\n" % (size, KEY))
            sock.shutdown(socket.SHUT_WR)
            hashed, count, last = hashlib.sha256(), 0, began
            while part := sock.recv(1 << 17):
                hashed.update(part)
                count += len(part)
                last = time.monotonic()
        if (count, hashed.hexdigest()) != (size, digest(size)):
            raise AssertionError("download: %d octets came of %d, or others" % (count, size))
        return last - began

    def echo(self, size, family=4, timeout=60):
        """Both ways at once on one connection; what comes back is what went."""
        with self.connect(ECHO, family, timeout) as sock:
            return echo_through(sock, size)

    def called(self, size, family=4, timeout=60):
        """As echo, on a connection that the far end opens."""
        listener = self.near.socket(family)
        with listener, self.connect(CALLER, family, timeout) as asking:
            listener.settimeout(timeout)
            listener.bind((NEAR[family], 0))
            listener.listen(1)
            asking.sendall(b"%d\n" % listener.getsockname()[1])
            made, _ = listener.accept()
            with made:
                made.settimeout(timeout)
                return echo_through(made, size)

    def slow(self, size, family=4, timeout=60):
        """As download, into the smallest buffer there is, with pauses: the window closes."""
        with self.connect(SOURCE, family, timeout, smallest_buffer) as sock:
            sock.sendall(b"%d %d\n" % (size, KEY))
            sock.shutdown(socket.SHUT_WR)
            hashed, count = hashlib.sha256(), 0
            while part := sock.recv(4096):
                hashed.update(part)
                count += len(part)
                if count * 8 // size != (count - len(part)) * 8 // size:
                    time.sleep(0.3)
        if (count, hashed.hexdigest()) != (size, digest(size)):
            raise AssertionError("slow: %d octets came of %d, or others" % (count, size))

    def many(self, size, family=4, timeout=60, count=200):
        """That many connections with an echo each, 32 at a time."""
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            runs = [pool.submit(self.echo, size, family, timeout) for _ in range(count)]
        for run in runs:
            run.result()


def smallest_buffer(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)


def echo_through(sock, size):
    octets = content(size)
    began = time.monotonic()
    sender = threading.Thread(target=_send_all, args=(sock, octets), daemon=True)
    sender.start()
    hashed, count = hashlib.sha256(), 0
    while part := sock.recv(1 << 17):
        hashed.update(part)
        count += len(part)
    seconds = time.monotonic() - began
    sender.join()
    if (count, hashed.hexdigest()) != (size, digest(size)):
        raise AssertionError("echo: %d octets came of %d, or others" % (count, size))
    return seconds


def _send_all(sock, octets):
    with contextlib.suppress(OSError):  # the reader tells what went wrong
        sock.sendall(octets)
        sock.shutdown(socket.SHUT_WR)


def address_options():
    return {"net.address": FAR[4]}


def yaml_of(options):
    sections = {}
    for path, value in options.items():
        section, name = path.split(".")
        sections.setdefault(section, []).append("  %s: %s" % (name, json.dumps(value)))
    return "".join("%s:\n%s\n" % (section, "\n".join(rows)) for section, rows in sections.items())


def tcp_info(sock):
    """What the kernel knows of a connection that sent: retransmissions, smoothed RTT."""
    octets = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 104)
    fields = struct.unpack("8B24I", octets)
    return {"rtt_us": fields[8 + 15], "retransmits": fields[8 + 23]}
