#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Goodput through a lossy path, Linux to Linux against Stentor to Linux and Linux to Stentor.

    sudo bench/goodput.py [--seeds 9] [--octets 10000000] [--rtt 40] [--loss 1] [--at-once 8]
                          [--window 512K] [--build DIR] [--json] [--only bulk|tail]

Every run is a path of its own through the impairing bridge (tests/wire/lab.py), Linux with CUBIC:
the same delay, the same loss by the same seed both ways. A figure is the median over the seeds;
a ratio of 1 is Linux to Linux in the same direction. Then the tail: requests are answered by three
segments, or by one, and of some answers the last segment is lost; how much later than its first
octets does an answer end (or, of one segment, than answers that lost nothing)? To be within 2 x
SRTT + 25 ms. Exit 1 when a figure is missed.
"""
import argparse
import concurrent.futures
import json
import os
import statistics
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(0, os.path.join(ROOT, "tests", "wire"))
sys.dont_write_bytecode = True

import lab  # noqa: E402

SEGMENT = 1448           # MTU 1500 less headers and timestamps
ROUNDS = 40              # answers of a tail run
LOST_ROUNDS = (12, 20, 28, 36)
PRIORITY = 5             # of the far end: what is measured is TCP, not this machine's scheduler
KINDS = [(far, way) for far in ("linux", "stentor") for way in ("upload", "download")]


def path_of(options, far, faults, seed, **more):
    return lab.Path(far, [*faults, "delay_us=%d" % (options.rtt * 500)], seed=seed, seconds=600,
                    options={"tcp.receive_window": options.window}, priority=PRIORITY,
                    build=options.build, **more)


# ---- bulk ----

def bulk(options, far, way, seed):
    """Octets a second."""
    with path_of(options, far, ["loss_ppm=%d" % (options.loss * 10000)], seed) as path:
        seconds = getattr(path, way)(options.octets, timeout=300)
    bridge = path.report["bridge"]
    lost = bridge["ba" if way == "upload" else "ab"]
    return {"far": far, "way": way, "seed": seed, "rate": options.octets / seconds,
            "segments": lost["segments"], "lost": lost["lost"],
            "late_us_max": bridge["late_us_max"]}


def bulk_all(options):
    jobs = [(far, way, seed) for seed in range(1, options.seeds + 1) for far, way in KINDS]
    with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
        runs = list(pool.map(lambda job: bulk(options, *job), jobs))
    rates = {kind: sorted(run["rate"] for run in runs if (run["far"], run["way"]) == kind)
             for kind in KINDS}
    medians = {kind: statistics.median(rates[kind]) for kind in KINDS}
    return {"runs": runs, "median": {"%s_%s" % kind: medians[kind] for kind in KINDS},
            "ratio": {way: medians["stentor", way] / medians["linux", way]
                      for way in ("upload", "download")}}


# ---- tail ----

def rounds(path, size):
    """For each answer: seconds from asking to its first octets, and to its last."""
    times = []
    with path.connect(lab.SOURCE, timeout=20) as sock:
        for _ in range(ROUNDS):
            began = time.monotonic()
            sock.sendall(b"%d %d\n" % (size, lab.KEY))
            left, first = size, None
            while left:
                left -= len(sock.recv(left))
                first = first or time.monotonic() - began
            times.append((first, time.monotonic() - began))
    return times


def tail(options, far, segments):
    lost = ["ab:drop=%d" % (number * segments) for number in LOST_ROUNDS]
    with path_of(options, far, lost, 1) as path:
        times = rounds(path, segments * SEGMENT if segments > 1 else 100)
    assert path.report["bridge"]["ab"]["lost"] == len(LOST_ROUNDS), path.report
    whole = [last for number, (_, last) in enumerate(times, 1) if number not in LOST_ROUNDS]
    usual = statistics.median(whole)
    delays = [times[number - 1][1] - usual for number in LOST_ROUNDS]
    limit = 2 * usual + 0.025
    return {"far": far, "segments": segments, "srtt_ms": usual * 1000,
            "limit_ms": limit * 1000, "delays_ms": [delay * 1000 for delay in delays],
            "is_within": max(delays) <= limit}


def tail_all(options):
    return [tail(options, far, segments) for segments in (3, 1) for far in ("linux", "stentor")]


# ---- the whole ----

def table(figures):
    if "bulk" in figures:
        print("%-22s %12s %12s %8s" % ("", "to Stentor", "from Stentor", ""))
        for far, name in (("linux", "Linux to Linux"), ("stentor", "with Stentor")):
            print("%-22s %7.0f kB/s %7.0f kB/s"
                  % (name, *(figures["bulk"]["median"]["%s_%s" % (far, way)] / 1000
                             for way in ("upload", "download"))))
        print("%-22s %12.2f %12.2f" % ("ratio", *(figures["bulk"]["ratio"][way]
                                                  for way in ("upload", "download"))))
    for row in figures.get("tail", ()):
        print("last of %d lost, %-8s  late by %s ms, limit %.0f ms, %s"
              % (row["segments"], row["far"],
                 " ".join("%.0f" % delay for delay in row["delays_ms"]), row["limit_ms"],
                 "within" if row["is_within"] else "MISSED"))


def main():
    parser = argparse.ArgumentParser(description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", type=int, default=9)
    parser.add_argument("--octets", type=int, default=10000000)
    parser.add_argument("--rtt", type=float, default=40, help="ms, there and back")
    parser.add_argument("--loss", type=float, default=1, help="percent, each way")
    parser.add_argument("--at-once", type=int, default=8)
    parser.add_argument("--window", default="512K", help="tcp.receive_window of Stentor")
    parser.add_argument("--build", default=None)
    parser.add_argument("--only", choices=("bulk", "tail"), default=None)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("error: this needs root (network namespaces)")
    lab.content(options.octets)
    figures = {"rtt_ms": options.rtt, "loss_percent": options.loss, "octets": options.octets}
    if options.only != "tail":
        figures["bulk"] = bulk_all(options)
    if options.only != "bulk":
        figures["tail"] = tail_all(options)
    print(json.dumps(figures)) if options.json else table(figures)
    ratios = figures.get("bulk", {}).get("ratio", {}).values()
    tails = [row for row in figures.get("tail", ()) if row["far"] == "stentor"]
    sys.exit(0 if all(ratio >= 1 for ratio in ratios) and
             all(row["is_within"] for row in tails) else 1)


if __name__ == "__main__":
    main()
