#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The life of a server process as an operator sees it: arguments, configuration, start, polite stop,
start again, death in the middle of writing, a disk that is full, a folder that is taken."""
import base64
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

import harness
from harness import Problem, until
from stream import SASL, STREAM, Stream

USERS = ("juliet", "romeo")


def program(*arguments, build=None):
    build = build or os.environ.get("STENTOR_BUILD", os.path.join(harness.ROOT, "build"))
    return subprocess.run([os.path.join(build, "stentor"), *arguments], stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=20, check=False)


def expect_start_fails(server, code, *words):
    """Starts and must end by itself with that code, and say those words."""
    try:
        server.start()
    except RuntimeError:
        pass
    else:
        raise AssertionError("it started")
    assert server.process.wait(10) == code, (server.process.returncode, server.log())
    for word in words:
        assert word in server.log(), (word, server.log())


# ---- arguments and configuration ----

def arguments():
    answer = program("--version")
    assert (answer.returncode, answer.stdout.split()[0]) == (0, "stentor"), answer
    answer = program("--help")
    assert answer.returncode == 0 and "--check-config" in answer.stdout, answer
    for wrong in ([], ["--confg", "x"], ["--config"], ["x"]):
        answer = program(*wrong)
        assert answer.returncode == 2 and "usage" in answer.stderr, (wrong, answer)


def full_output():
    """An answer that does not arrive is a failure, and said on the standard error."""
    build = os.environ.get("STENTOR_BUILD", os.path.join(harness.ROOT, "build"))
    path = "/tmp/stentor-empty-%d.yml" % os.getpid()
    with open(path, "w", encoding="utf-8"):
        pass
    try:
        for code, words in ((1, ("stentor", "--version")), (1, ("stentor", "--help")),
                            (1, ("stentor", "--print-config")),
                            (1, ("stentor", "--print-config", path)),
                            (1, ("stentor", "--check-config", path)),
                            (4, ("stentorctl", "--version")), (4, ("stentorctl", "--help"))):
            words = (os.path.join(build, words[0]),) + words[1:]
            with open("/dev/full", "w", encoding="utf-8") as full:
                done = subprocess.run(words, stdout=full, stderr=subprocess.PIPE, text=True,
                                      timeout=20, check=False)
            assert done.returncode == code, (words, done)
            assert "No space left on device" in done.stderr, (words, done)
            assert done.stderr.count("\n") == 1, done
            done = subprocess.run(words, stdout=subprocess.DEVNULL, timeout=20, check=False)
            assert done.returncode == 0, (words, done)
    finally:
        os.unlink(path)


def print_config(folder="/tmp"):
    """What is printed is a configuration again, with the same values."""
    first = program("--print-config")
    assert first.returncode == 0 and "tcp:" in first.stdout, first
    path = os.path.join(folder, "stentor-printed-%d.yml" % os.getpid())
    try:
        with open(path, "w", encoding="utf-8") as file:
            file.write(first.stdout)
        check = program("--check-config", path)
        assert check.returncode == 0, check
        assert program("--print-config", path).stdout == first.stdout
    finally:
        os.unlink(path)


WRONG_CONFIGS = {
    "unknown option": ("net:\n  address: 10.0.0.1\n  adress: 10.0.0.1\n", 3, "net.address"),
    "unknown section": ("network:\n  address: 10.0.0.1\n", 1, "network"),
    "out of range": ("server:\n  workers: 65\n", 2, "1 to 64"),
    "wrong type": ("server:\n  workers: many\n", 2, "server.workers"),
    "wrong unit": ("server:\n  drain: 5 parsecs\n", 2, "server.drain"),
    "named twice": ("net:\n  mtu: 1400\n  mtu: 1500\n", 3, "mtu"),
    "not YAML": ("net: [\n", None, ""),
    "nobody's address": ("net:\n  address: 0.0.0.0\n", None, "net.address"),
    "everybody's address": ("net:\n  address: 255.255.255.255\n", None, "net.address"),
    "a group's address": ("net:\n  address: 224.0.0.1\n", None, "net.address"),
    "loopback": ("net:\n  address: 127.0.0.1\n", None, "net.address"),
    "the link's own address": ("net:\n  address: 10.99.0.0\n", None, "net.address"),
    "a router elsewhere": ("net:\n  gateway: 10.98.0.1\n", None, "net.gateway"),
    "ourselves as the router": ("net:\n  gateway: 10.99.0.2\n", None, "net.gateway"),
    "no domain": ('xmpp:\n  domain: ""\n', None, "xmpp.domain"),
    "a JID as the domain": ("xmpp:\n  domain: a b/c@d\n", None, "xmpp.domain"),
    "no folder": ('server:\n  data_dir: ""\n', None, "server.data_dir"),
    "no such form of device": ("nic:\n  device: nonsense\n", None, "nic.device"),
    "no device": ('nic:\n  device: ""\n', None, "nic.device"),
    "device name too long": ("nic:\n  device: tap:sixteen-letters1\n", None, "nic.device"),
    "no listener": ("admin:\n  listen: nowhere\n", None, "admin.listen"),
    "no core": ("server:\n  cores: [x]\n", None, "server.cores"),
    "too few cores": ('server:\n  workers: 2\n  cores: ["0"]\n', None, "server.cores"),
    "a core twice": ('server:\n  workers: 2\n  cores: ["0", "0"]\n', None, "server.cores"),
}


def wrong_configs():
    path = "/tmp/stentor-wrong-%d.yml" % os.getpid()
    try:
        for name, (text, line, words) in WRONG_CONFIGS.items():
            with open(path, "w", encoding="utf-8") as file:
                file.write(text)
            for verb in ("--check-config", "--config"):
                answer = program(verb, path)
                place = "%s:%d:" % (path, line) if line else path + ":"
                assert answer.returncode == 2, (name, verb, answer)
                assert place in answer.stderr and words in answer.stderr, (name, verb, answer)
    finally:
        os.unlink(path)
    answer = program("--config", path)
    assert answer.returncode == 2 and path in answer.stderr, answer


# ---- stop and start ----

def goodbye(stream):
    """The stream error and the closing tag come, then the end of TCP."""
    conditions = [element[0].tag.rpartition("}")[2] for element in stream.rest(10)
                  if element.tag == STREAM + "error"]
    assert conditions == ["system-shutdown"], conditions
    assert stream.is_stream_closed and stream.closed_by == "end", stream.closed_by
    stream.socket.close()


def restart(workers):
    def case():
        with harness.Server(options={"server.workers": workers}) as server:
            token = server.token
            for user in USERS:
                server.add_user(user, "secret")
            streams = [Stream(server).login(user, "secret", place)
                       for user in USERS for place in ("one", "two")]
            negotiating = Stream(server)
            negotiating.open()
            began = time.monotonic()
            server.process.send_signal(signal.SIGTERM)
            for stream in streams + [negotiating]:
                goodbye(stream)
            assert server.process.wait(10) == 0, server.log()
            assert time.monotonic() - began < 4, "all had said goodbye: it had not to wait"
            runtime = "/run/dpdk/stentor-%d" % server.process.pid
            assert not os.path.exists(runtime), "it left " + runtime
            assert token not in "".join(server.log().splitlines(True)[2:]), "told twice"
            server.start()
            assert [user["username"] for user in server.api("GET", "/v1/users", token=token)
                    ["items"]] == list(USERS)
            with Stream(server) as again:
                again.login("juliet", "secret")
    return case


def stubborn_client():
    """Who does not close is reset when server.drain is over."""
    with harness.Server(options={"server.drain": "1s"}) as server:
        server.add_user("juliet", "secret")
        with Stream(server) as stream:
            stream.login("juliet", "secret")
            began = time.monotonic()
            assert server.stop(signal.SIGTERM, 10) == 0, server.log()
            assert 0.9 < time.monotonic() - began < 4, time.monotonic() - began
            assert stream.error() == "system-shutdown"


AUTH = ("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>"
        % base64.b64encode(b"\0juliet\0secret").decode())


def ask_for_passwords(server, stays):
    """Logins enough to keep the password thread busy for many seconds; their streams."""
    streams = [Stream(server) for _ in range(24)]
    for stream in streams:
        stream.open()
        stream.send(AUTH)
        if not stays:
            stream.socket.close()
    return streams


def stop_while_stretching(stays, drain):
    """Passwords wait to be stretched: the stop neither crashes nor waits for all of them."""
    def case():
        with harness.Server(options={"scram.iterations": 1000000, "server.drain": drain}) as server:
            server.add_user("juliet", "secret")
            streams = ask_for_passwords(server, stays)
            began = time.monotonic()
            assert server.stop(signal.SIGTERM, 30) == 0, (server.process.returncode, server.log())
            assert time.monotonic() - began < 10, "it worked off the whole queue"
            for stream in streams:
                stream.socket.close()
    return case


def stop_while_making_keys():
    """The same with an account that the API is making: told that the server stops, or cut off."""
    with harness.Server(options={"scram.iterations": 1000000}) as server:
        outcome = []

        def make():
            try:
                outcome.append(server.add_user("juliet", "secret"))
            except (Problem, OSError) as fault:
                outcome.append(fault)
        maker = threading.Thread(target=make)
        maker.start()
        time.sleep(0.1)
        assert server.stop(signal.SIGTERM, 30) == 0, (server.process.returncode, server.log())
        maker.join()
        assert len(outcome) == 1 and isinstance(outcome[0], Exception), outcome
        server.start()
        assert is_made(server, "juliet"), "refused, and made all the same"


def stubborn_clients_of_two_workers():
    """Sessions that are reset at the end tell their homes on the other worker: both still stand."""
    with harness.Server(options={"server.drain": "1s", "server.workers": 2}) as server:
        users = ["user%d" % i for i in range(16)]
        for user in users:
            server.add_user(user, "secret")
        streams = [Stream(server).login(user, "secret") for user in users]
        assert server.stop(signal.SIGTERM, 10) == 0, (server.process.returncode, server.log())
        for stream in streams:
            assert stream.error() == "system-shutdown"
            stream.socket.close()


def refuses_changes_while_draining():
    """One client that does not close keeps the drain open: what would change something is told to
    come again, what reads is answered."""
    changes = (("POST", "/v1/pushes", {"target": {"online": True}, "notification": {"body": "late"}}),
               ("POST", "/v1/pushes", {"target": {"all": True}, "notification": {"body": "late"}}),
               ("POST", "/v1/pushes", {"target": {"users": ["juliet"]},
                                       "notification": {"body": "late"}}),
               ("POST", "/v1/users", {"username": "late", "password": "secret"}),
               ("PATCH", "/v1/users/juliet", {"enabled": False}),
               ("PATCH", "/v1/users/juliet", {"password": "other"}),
               ("DELETE", "/v1/users/juliet", None), ("DELETE", "/v1/sessions/%s", None))
    with harness.Server(options={"server.drain": "5s"}) as server:
        server.add_user("juliet", "secret")
        with Stream(server) as stream:
            stream.login("juliet", "secret")
            session = server.api("GET", "/v1/sessions")["items"][0]["id"]
            server.process.send_signal(signal.SIGTERM)
            until(lambda: server.http("GET", "/readyz")[0] == 503, "it drains")
            for method, path, body in changes:
                path = path % session if "%s" in path else path
                status, headers, text = server.http(
                    method, path, json.dumps(body) if body else None,
                    {"Authorization": "Bearer " + server.token})
                assert status == 503 and headers["Retry-After"], (method, path, status)
                assert "draining" in text, text
            for path in ("/v1/users/juliet", "/v1/users", "/v1/sessions", "/v1/sessions/count",
                         "/v1/sessions/" + session, "/v1/pushes", "/metrics"):
                server.api("GET", path)
            assert server.http("GET", "/healthz")[0] == 200
            assert stream.error() == "system-shutdown"
        assert server.process.wait(10) == 0, server.log()
        server.start()
        with Stream(server) as stream:
            stream.login("juliet", "secret")  # neither disabled nor deleted nor changed
        assert [user["username"] for user in server.api("GET", "/v1/users")["items"]] == ["juliet"]
        assert server.api("GET", "/v1/pushes")["items"] == []


def second_signal():
    """A second SIGTERM does not wait for anybody."""
    with harness.Server(options={"server.drain": "10m"}) as server:
        server.add_user("juliet", "secret")
        with Stream(server) as stream:
            stream.login("juliet", "secret")
            server.process.send_signal(signal.SIGTERM)
            stream.take_until(lambda element: element.tag == STREAM + "error")
            assert server.stop(signal.SIGTERM, 10) == 0, server.log()


# ---- death ----

def accounts_maker(server, prefix, acknowledged):
    number = 0
    while True:
        name = "%s%d" % (prefix, number)
        try:
            server.add_user(name, "secret")
        except (OSError, Problem, ValueError):
            return
        except Exception:  # http.client says it in many ways
            return
        acknowledged.append(name)
        number += 1


def killed():
    """SIGKILL while accounts are being made: whatever was acknowledged is there afterwards."""
    seed = int(os.environ.get("STENTOR_SEED", random.randrange(1 << 30)))
    chance = random.Random(seed)
    with harness.Server() as server:
        acknowledged = []
        for turn in range(4):
            makers = [threading.Thread(target=accounts_maker,
                                       args=(server, "t%dm%dn" % (turn, maker), acknowledged))
                      for maker in range(4)]
            for maker in makers:
                maker.start()
            time.sleep(chance.uniform(0.05, 0.5))
            server.stop(signal.SIGKILL)
            for maker in makers:
                maker.join()
            server.start()
            there, cursor = set(), ""
            while cursor is not None:
                page = server.api("GET", "/v1/users?limit=1000" + cursor)
                there.update(user["username"] for user in page["items"])
                cursor = "&cursor=" + page["next"] if page.get("next") else None
            lost = [name for name in acknowledged if name not in there]
            assert not lost, "seed %d: %d of %d lost" % (seed, len(lost), len(acknowledged))
        assert len(acknowledged) > 20, len(acknowledged)
        with Stream(server) as stream:
            stream.login(acknowledged[-1], "secret")


# ---- the disk and the folder ----

class SmallDisk:
    """A tmpfs at the server's data folder."""

    def __init__(self, server, size):
        self.path = os.path.join(server.folder, "data")
        os.makedirs(self.path, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=" + size, "none", self.path],
                       check=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        subprocess.run(["umount", "-l", self.path], check=True)

    def fill(self):
        path = os.path.join(self.path, "filler")
        with open(path, "wb", buffering=0) as file:
            try:
                while True:
                    file.write(b"x" * 4096)
            except OSError:
                return path


def new_server(**options):
    """A server whose first start is the case's own."""
    class Unstarted(harness.Server):
        is_first = True

        def start(self):
            if self.is_first:
                self.is_first = False
            else:
                super().start()
    return Unstarted(options=options)


def full_at_start():
    with new_server() as server:
        with SmallDisk(server, "8k"):
            expect_start_fails(server, 1, os.path.join(server.folder, "data"), "No space left")


def full_while_running():
    """Writes are refused and said so, everything else goes on; with room again they work."""
    with new_server() as server:
        with SmallDisk(server, "4m") as disk:
            server.start()
            server.add_user("juliet", "secret")
            filler = disk.fill()
            refused = 0
            for number in range(400):
                try:
                    server.add_user("user%d" % number, "secret")
                except Problem as problem:
                    assert problem.status in (503, 507), problem
                    refused += 1
                    break
            assert refused, "400 accounts found room on a full disk"
            with Stream(server) as stream:
                stream.login("juliet", "secret")
            os.unlink(filler)
            until(lambda: is_made(server, "late"), "an account is made with room again")
            server.stop(signal.SIGKILL)
            server.start()
            names = [user["username"] for user in server.api("GET", "/v1/users?limit=1000")["items"]]
            assert "late" in names and "juliet" in names, names
            server.stop()


def is_made(server, name):
    try:
        server.add_user(name, "secret")
        return True
    except Problem:
        return False


def folder_taken():
    with harness.Server() as server:
        data = os.path.join(server.folder, "data")
        other = new_server(**{"server.data_dir": data, "admin.port": 7071})
        with other:
            expect_start_fails(other, 1, data, str(server.pid()))
        server.add_user("juliet", "secret")
        with Stream(server) as stream:
            stream.login("juliet", "secret")


def folder_unusable():
    for path in ("/proc/stentor", "/dev/null"):
        with new_server(**{"server.data_dir": path}) as server:
            expect_start_fails(server, 1, path)


def admin_port_taken():
    """Within the same namespace: the address of the admin API is another's."""
    with harness.Server() as server:
        path = os.path.join(server.folder, "second.yml")
        with open(path, "w", encoding="utf-8") as file:
            file.write("server:\n  data_dir: %s/second\nnic:\n  device: tap:stn9\nadmin:\n  port: 7070\n"
                       % server.folder)
        done = server.run([os.path.join(server.build, "stentor"), "--config", path], timeout=20,
                          check=False, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        assert done.returncode == 1 and b"7070" in done.stdout, (done.returncode, done.stdout)
        assert server.api("GET", "/v1/sessions/count")["connections"] == 0


def wrong_password_after_restart():
    """What a name that nobody has is answered does not change with a restart (RFC 5802 salts)."""
    def challenge(server):
        with Stream(server) as stream:
            stream.open()
            stream.send("<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='SCRAM-SHA-256'>"
                        "biwsbj1ub2JvZHkscj1meWtvLWQybGJiRmdPTlJ2OXFreGRhd0w=</auth>")
            answer = stream.take()
            assert answer.tag == SASL + "challenge", answer.tag
            return dict(part.split("=", 1) for part in
                        base64.b64decode(answer.text).decode().split(","))
    with harness.Server() as server:
        before = challenge(server)
        server.stop()
        server.start()
        after = challenge(server)
    assert (before["s"], before["i"]) == (after["s"], after["i"]), (before, after)


CASES = [
    ("arguments", arguments), ("full-output", full_output), ("print-config", print_config),
    ("wrong-configs", wrong_configs),
    ("restart-1-worker", restart(1)), ("restart-2-workers", restart(2)),
    ("stop-while-stretching", stop_while_stretching(False, "5s")),
    ("stop-while-waiting-for-passwords", stop_while_stretching(True, "1s")),
    ("stop-while-making-keys", stop_while_making_keys),
    ("stubborn-client", stubborn_client),
    ("stubborn-clients-of-2-workers", stubborn_clients_of_two_workers),
    ("refuses-changes-while-draining", refuses_changes_while_draining),
    ("second-signal", second_signal), ("killed", killed),
    ("unknown-name-after-restart", wrong_password_after_restart),
    ("full-disk-at-start", full_at_start), ("full-disk-while-running", full_while_running),
    ("folder-taken", folder_taken), ("folder-unusable", folder_unusable),
    ("admin-port-taken", admin_port_taken),
]

if __name__ == "__main__":
    sys.exit(harness.main(CASES))
