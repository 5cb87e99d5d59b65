# SPDX-License-Identifier: Apache-2.0
"""A real server on a real TAP device in a network namespace of its own.

    with Server() as server:            # needs root
        server.add_user("juliet", "secret")
        server.run([...])               # a client inside the namespace
        server.api("POST", "/v1/pushes", {...})
        with server.inside():           # sockets made here are of the namespace
            socket.create_connection((ADDRESS, 5222))

The namespace, the TAP device in it and the data folder are gone when the block ends. Only
processes started here are ended, by pid. Standard library only.
"""
import contextlib
import ctypes
import http.client
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ADDRESS = "10.99.0.2"
KERNEL_ADDRESS = "10.99.0.1"
DOMAIN = "stentor.local"
PYTHON = "/usr/bin/python3"  # Debian's, which has Debian's slixmpp


_libc = ctypes.CDLL(None, use_errno=True)
_CLONE_NEWNET = 0x40000000


class Skip(Exception):
    """Raised by a case that this machine cannot run; says why."""


class Problem(Exception):
    """An HTTP answer of 400 or above."""

    def __init__(self, status, body):
        super().__init__("%d %s" % (status, body))
        self.status = status
        self.body = body


class Server:
    def __init__(self, build=None, options=None, device="tap:stn0", env=None):
        self.build = build or os.environ.get("STENTOR_BUILD", os.path.join(ROOT, "build"))
        self.options = options or {}
        self.device = device
        self.env = dict(os.environ, **(env or {}))
        self.name = "stn-%d-%d" % (os.getpid(), int(time.time() * 1000) % 100000)
        self.process = None
        self.token = None
        self.folder = None

    # -- life --

    def __enter__(self):
        try:
            self.folder = tempfile.mkdtemp(prefix="stentor-test-")
            self._ip("netns", "add", self.name)
            self._inside("ip", "link", "set", "lo", "up")
            self.start()
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(self, *_):
        self.stop(signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", self.name], stderr=subprocess.DEVNULL, check=False)
        if self.folder and not os.environ.get("STENTOR_KEEP"):
            shutil.rmtree(self.folder, ignore_errors=True)

    def start(self):
        config = os.path.join(self.folder, "stentor.yml")
        with open(config, "w", encoding="utf-8") as file:
            file.write(self._config())
        self.log_path = os.path.join(self.folder, "log")
        log = open(self.log_path, "ab")
        self.process = subprocess.Popen(
            ["ip", "netns", "exec", self.name, os.path.join(self.build, "stentor"),
             "--config", config],
            stdout=log, stderr=log, env=self.env)
        log.close()
        self._wait_for("the TAP device", self._has_device)
        self._wait_for("an address on the TAP device", self._has_address)
        self._wait_for("the admin API", self._is_ready)
        self.token = self.token or self._token_in_log()

    def stop(self, how=signal.SIGTERM, seconds=20):
        if self.process is None or self.process.poll() is not None:
            return None if self.process is None else self.process.returncode
        self.process.send_signal(how)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
            return None

    def log(self):
        with open(self.log_path, encoding="utf-8", errors="replace") as file:
            return file.read()

    # -- what tests do with it --

    def command(self, arguments):
        return ["ip", "netns", "exec", self.name] + list(arguments)

    def popen(self, arguments, **keywords):
        return subprocess.Popen(self.command(arguments), **keywords)

    def run(self, arguments, timeout=60, check=True, **keywords):
        return subprocess.run(self.command(arguments), timeout=timeout, check=check, **keywords)

    @contextlib.contextmanager
    def inside(self):
        """This thread is in the namespace; a socket stays in the one it was made in."""
        home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        there = os.open("/run/netns/" + self.name, os.O_RDONLY)
        try:
            self._enter(there)
            yield
        finally:
            self._enter(home)
            os.close(home)
            os.close(there)

    def connect(self, host=ADDRESS, port=5222, timeout=10, prepare=None, source=None):
        """A kernel TCP socket of the namespace, connected. prepare(socket) runs before that."""
        with self.inside():
            family = socket.AF_INET6 if ":" in host else socket.AF_INET
            made = socket.socket(family, socket.SOCK_STREAM)
        try:
            made.settimeout(timeout)
            made.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if prepare is not None:
                prepare(made)
            if source is not None:
                made.bind((source, 0))
            made.connect((host, port))
        except BaseException:
            made.close()
            raise
        return made

    def http(self, method, path, body=None, headers=None, timeout=20):
        """One admin call as it is: (status, headers, text)."""
        call = http.client.HTTPConnection("127.0.0.1", 7070, timeout=timeout)
        call.sock = self.connect("127.0.0.1", 7070, timeout)
        try:
            call.request(method, path, body, headers or {})
            answer = call.getresponse()
            return answer.status, answer.headers, answer.read().decode("utf-8", "replace")
        finally:
            call.close()

    def api(self, method, path, body=None, token=None, raw=None):
        """One admin call; returns the decoded JSON (or text), raises Problem for 400 and above."""
        headers = {"Authorization": "Bearer " + (token or self.token)}
        if body is not None:
            raw = json.dumps(body).encode()
        if raw is not None:
            headers["Content-Type"] = "application/json"
        status, _, text = self.http(method, path, raw, headers)
        if status >= 400:
            raise Problem(status, text)
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text

    def add_user(self, name, password):
        return self.api("POST", "/v1/users", {"username": name, "password": password})

    def metrics(self):
        values = {}
        for line in self.api("GET", "/metrics").splitlines():
            if line and not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                values[name] = float(value)
        return values

    def metric(self, name):
        """A counter or gauge by its name with labels; of all labels together without."""
        values = self.metrics()
        if name in values:
            return values[name]
        return sum(value for key, value in values.items() if key.startswith(name + "{"))

    def pid(self):
        """The server's own pid, behind `ip netns exec` (which execs, so it is the same)."""
        return self.process.pid

    # -- helpers --

    def _config(self):
        options = {"server.data_dir": os.path.join(self.folder, "data"), "nic.device": self.device,
                   "net.address": ADDRESS, "xmpp.domain": DOMAIN}
        options.update(self.options)
        sections = {}
        for path, value in options.items():
            section, name = path.split(".")
            sections.setdefault(section, []).append((name, value))
        lines = []
        for section, rows in sections.items():
            lines.append(section + ":")
            lines += ["  %s: %s" % (name, json.dumps(value)) for name, value in rows]
        return "\n".join(lines) + "\n"

    def _ip(self, *arguments):
        subprocess.run(["ip"] + list(arguments), check=True)

    def _inside(self, *arguments):
        subprocess.run(self.command(arguments), check=True)

    def _has_device(self):
        return subprocess.run(self.command(["ip", "link", "show", "stn0"]),
                              stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
                              check=False).returncode == 0

    def _has_address(self):
        """Sets it; in vain when the server ended meanwhile and took the device along."""
        for words in (["addr", "replace", KERNEL_ADDRESS + "/24", "dev", "stn0"],
                      ["link", "set", "stn0", "up"]):
            if subprocess.run(self.command(["ip"] + words), stderr=subprocess.DEVNULL,
                              check=False).returncode != 0:
                return False
        return True

    def _is_ready(self):
        try:
            return self.http("GET", "/readyz", timeout=2)[0] == 200
        except OSError:
            return False

    @staticmethod
    def _enter(namespace):
        if _libc.setns(namespace, _CLONE_NEWNET) != 0:
            raise OSError(ctypes.get_errno(), "setns")

    def _token_in_log(self):
        for line in self.log().splitlines():
            if line.startswith("admin token"):
                return line.rpartition(" ")[2]
        raise RuntimeError("no admin token in the log:\n" + self.log())

    def _wait_for(self, what, is_there, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError("the server ended (%s) before %s was there:\n%s"
                                   % (self.process.returncode, what, self.log()))
            if is_there():
                return
            time.sleep(0.05)
        raise RuntimeError("%s did not appear in %d s:\n%s" % (what, seconds, self.log()))


def until(is_so, what, seconds=10.0):
    """Waits for a condition; returns its value, fails with the words when time is over."""
    end = time.monotonic() + seconds
    while True:
        value = is_so()
        if value:
            return value
        if time.monotonic() > end:
            raise AssertionError("not within %g s: %s" % (seconds, what() if callable(what) else what))
        time.sleep(0.01)


def run_case(name, case):
    """Runs one case; prints its line; 1 when it failed."""
    began = time.monotonic()
    try:
        case()
        print("ok   %-48s %.1f s" % (name, time.monotonic() - began), flush=True)
        return 0
    except Skip as why:
        print("skip %s: %s" % (name, why), flush=True)
        return 0
    except Exception as fault:  # a test reports whatever went wrong
        print("FAIL %-48s %s: %s" % (name, type(fault).__name__, fault), flush=True)
        if os.environ.get("STENTOR_TRACEBACK"):
            traceback.print_exc()
        return 1


def main(cases):
    """Runs the named cases; prints one line each; exit code 0 when all passed."""
    wanted = sys.argv[1:]
    failed = [run_case(name, case) for name, case in cases
              if not wanted or any(word in name for word in wanted)]
    return 1 if sum(failed) else 0
