#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Linux and Stentor talk over bad networks: octets both ways, compared by hash.

    sudo tests/wire/linux_matrix.py [WORD...]     cases whose name holds one of the words

Each case is a path of its own (lab.py) with its own seed; a few run at a time. Besides the hashes
each asks that the bridge did to packets what the case is about, lost none by itself, and that the
far end has no connection and no queued octet left.
"""
import concurrent.futures
import os
import sys
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import lab  # noqa: E402

AT_ONCE = 4
FAMILIES = (4, 6)
KILO = 1000
PRIORITY = 5  # a far end that waits for its turn is not what is looked at
WAYS = ("upload", "download", "echo", "called")


class Case:
    """counters: what must have moved; the far end's are in capitals."""

    def __init__(self, name, size, faults, counters=(), ways=WAYS, **path):
        self.name, self.size, self.faults = name, size, faults
        self.counters, self.ways, self.path = counters, ways, path

    def run(self):
        for family in FAMILIES:
            with lab.Path(faults=self.faults, seed=sum(self.name.encode()) + family,
                          priority=PRIORITY, **self.path) as path:
                with concurrent.futures.ThreadPoolExecutor() as pool:
                    runs = [pool.submit(getattr(path, way), self.size, family) for way in self.ways]
                for run in runs:
                    run.result()
            self.judge(path.report)

    def judge(self, report):
        bridge, peer = report["bridge"], report["peer"]
        assert (peer["exit"], bridge["exit"]) == (0, 0), report
        assert peer["connections"] == 0 and peer["send_references"] == 0, peer
        assert bridge["dropped_full"] == 0 and bridge["oversize"] == 0, bridge
        assert bridge["ab"]["unread"] == 0 and bridge["ba"]["unread"] == 0, bridge
        for counter in self.counters:
            moved = (peer.get(counter, 0) if counter.isupper() else
                     bridge["ab"][counter] + bridge["ba"][counter])
            assert moved > 0, (counter, report)


def delay(milliseconds):
    """There and back."""
    return "delay_us=%d" % (milliseconds * 500)


def cases():
    made = [Case("clean", 8000 * KILO, [])]
    for percent, size, milliseconds in ((0.1, 3000, 1), (0.1, 1500, 40), (1, 2000, 1),
                                        (1, 500, 40), (1, 200, 300), (5, 500, 1), (5, 100, 40),
                                        (5, 30, 300)):
        made.append(Case("loss-%g%%-rtt-%dms" % (percent, milliseconds), size * KILO,
                         [delay(milliseconds), "loss_ppm=%d" % (percent * 10000)], ["lost"]))
    for milliseconds, size in ((1, 3000), (10, 3000), (50, 1500), (100, 1000), (300, 500)):
        made.append(Case("delay-%dms" % milliseconds, size * KILO, [delay(milliseconds)]))
    made += [
        Case("jitter", 500 * KILO, [delay(20), "jitter_us=20000"]),
        Case("reorder-25%-50%", 500 * KILO,
             [delay(20), "reorder_ppm=250000", "reorder_percent=50"], ["reordered"]),
        Case("duplicate-1%", 1000 * KILO, [delay(10), "duplicate_ppm=10000"], ["duplicated"]),
        Case("corrupt-0.5%", 500 * KILO, [delay(10), "corrupt_ppm=5000"], ["corrupted"]),
        Case("bursts", 300 * KILO, [delay(20), "burst_ppm=3000", "burst_length=6"], ["lost"]),
        Case("narrow", 1500 * KILO, [delay(20), "rate_kbit=10000", "queue_us=30000"],
             ["queue_dropped"]),
        Case("storm", 150 * KILO,
             [delay(20), "jitter_us=5000", "loss_ppm=10000", "burst_ppm=1000", "burst_length=4",
              "reorder_ppm=50000", "reorder_percent=50", "duplicate_ppm=10000",
              "corrupt_ppm=5000"], ["lost", "reordered", "duplicated", "corrupted"]),
    ]
    # net_tap of DPDK 22.11 knows no frame above 1522 octets; net_af_packet does.
    for mtu, size, device in ((1280, 1000, "tap"), (1500, 1500, "af_packet"),
                              (9000, 4000, "af_packet")):
        for faults, counters in (([], []), (["loss_ppm=10000"], ["lost"])):
            made.append(Case("mtu-%d%s" % (mtu, "-loss" if faults else ""), size * KILO,
                             [delay(10)] + faults, counters, mtu=mtu,
                             device=device))
    made.append(Case("mtu-9000-to-1280", 1000 * KILO, [delay(4)], mtu=9000, near_mtu=1280,
                     device="af_packet"))
    made.append(Case("mtu-1280-to-9000", 1000 * KILO, [delay(4)], mtu=1280, near_mtu=9000))
    for offload in ("real", "all", "none"):
        for near in (False, True):
            made.append(Case("offloads-%s-linux-%s" % (offload, "on" if near else "off"),
                             600 * KILO, [delay(4), "corrupt_ppm=5000"], ["corrupted"],
                             offload=offload, near_offload=near))
    for sysctl, value in (("tcp_sack", 0), ("tcp_timestamps", 0), ("tcp_window_scaling", 0),
                          ("tcp_dsack", 0), ("tcp_recovery", 0), ("tcp_early_retrans", 0)):
        made.append(Case("linux-%s-%d" % (sysctl, value), 300 * KILO,
                         [delay(10), "loss_ppm=10000"], ["lost"],
                         sysctls={"net.ipv4." + sysctl: value}))
    made.append(Case("linux-plain", 300 * KILO, [delay(10), "loss_ppm=10000"], ["lost"],
                     sysctls={"net.ipv4.tcp_sack": 0, "net.ipv4.tcp_timestamps": 0,
                              "net.ipv4.tcp_window_scaling": 0}))
    for loss in (0, 10000):
        made.append(Case("linux-ecn" + ("-loss" if loss else ""), 500 * KILO,
                         [delay(10), "ce_ppm=10000", "loss_ppm=%d" % loss], ["marked"],
                         sysctls={"net.ipv4.tcp_ecn": 1}))
    for window in ("2K", "8K", "1M"):
        made.append(Case("window-" + window, 100 * KILO, [delay(4), "loss_ppm=10000"], ["lost"],
                         options={"tcp.receive_window": window}))
    made += [
        Case("path-mtu-icmp", 500 * KILO, [delay(10), "mtu=1300", "icmp=1"],
             ["too_big", "NET_ICMP_MTU_TAKEN"]),
        Case("path-mtu-icmp-loss", 300 * KILO, [delay(10), "mtu=1300", "icmp=1", "loss_ppm=10000"],
             ["too_big", "NET_ICMP_MTU_TAKEN"]),
        Case("black-hole", 300 * KILO, [delay(10), "ab:mtu=1300"],
             ["too_big", "TCP_BLACKHOLES"], ways=("upload", "download")),
        Case("slow-reader", 200 * KILO, [delay(4), "loss_ppm=5000"], ["TCP_PERSIST_PROBES"],
             ways=("slow",)),
        Case("many", 2 * KILO, [delay(4), "loss_ppm=10000", "reorder_ppm=50000"], ["lost"],
             ways=("many", "many")),
    ]
    return made


def run(case):
    """(line, failed)"""
    began = time.monotonic()
    try:
        case.run()
        return "ok   %-48s %.1f s" % (case.name, time.monotonic() - began), False
    except lab.Skip as why:
        return "skip %s: %s" % (case.name, why), False
    except Exception as fault:  # a test reports whatever went wrong
        if os.environ.get("STENTOR_TRACEBACK"):
            traceback.print_exc()
        return "FAIL %-48s %s: %s" % (case.name, type(fault).__name__, fault), True


def main():
    words = sys.argv[1:]
    wanted = [case for case in cases() if not words or any(word in case.name for word in words)]
    lab.content(max(case.size for case in wanted))
    failed = False
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for done in concurrent.futures.as_completed([pool.submit(run, case) for case in wanted]):
            line, is_bad = done.result()
            print(line, flush=True)
            failed |= is_bad
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
