#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The same scripts into the Linux kernel and into our stack, and their answers compared.

Usage: differential.py [--show CASE] [SCRIPT_RUN]. Root: each case runs in a network namespace of its
own, made and left by its process. Prints "ok CASE", "FAIL CASE: ..." or "skip CASE: why".

Compared are, for each line that sends or calls something: the segments that came back (flags without
PSH, relative sequence numbers, payload sizes, which options, SACK blocks), when they came, coarsely, and
what the application saw. A difference must stand in differences.md, by case and by what differs. The
kernel's time is real, so a case that differs is tried twice more, alone, before it fails."""
import fnmatch
import os
import re
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
CASES = os.path.join(HERE, "cases")
TABLE = os.path.join(HERE, "differences.md")
AT_ONCE = 48
SECONDS_MAX = 4.0
LATE_S = 0.06
LATE_SHARE = 0.25
SEGMENT = re.compile(r"(?:\[\w+\] )?(\S+) (-?\d+):-?\d+\((\d+)\)(?: ack (-?\d+))? win (\d+)"
                     r"(?: <(.*)>)?(.*)")
PLAIN_OPTIONS = ("mss", "wscale", "sackOK", "TS", "nop", "eol")


def segment_of(text):
    """What counts of a segment, as text."""
    flags, seq, size, ack, _, options, rest = SEGMENT.fullmatch(text).groups()
    kinds = []
    for option in (options or "").split(","):
        words = option.split()
        if words and words[0] not in ("nop", "eol"):
            kinds.append(words[0] if words[0] in PLAIN_OPTIONS else option)
    flags = flags.replace("P", "") or "-"
    number = "" if flags == "R" else " ack " + (ack or "-")
    return "%s %s(%s)%s%s%s" % (flags, seq, size, number,
                                " <%s>" % ",".join(sorted(kinds)) if kinds else "", rest)


class Record:
    """What one side did: for each acting line, in order, its segments and events."""

    def __init__(self, text):
        self.unsupported = None
        self.fault = None
        self.lines = []  # [line, [(delay, segment)], [event]]
        began = 0.0
        for row in text.splitlines():
            if row.startswith("FAIL "):
                self.fault = row
                continue
            fields = row.split(" ", 2)
            if len(fields) < 3 or not fields[0].isdigit():
                continue
            number, kind, rest = int(fields[0]), fields[1], fields[2]
            if kind == "@":
                began = float(rest)
                self.lines.append([number, [], []])
            elif kind == "?":
                self.unsupported = rest
            elif kind == ">" and self.lines:
                at, segment = rest.split(" ", 1)
                self.lines[-1][1].append((float(at) - began, segment_of(segment)))
            elif kind == "!" and self.lines:
                self.lines[-1][2].append(rest)


PLAIN_ACK = re.compile(r"\. (-?\d+)\(0\) ack (-?\d+)(?: <TS>)?")


def acks_joined(segments):
    """We acknowledge once a burst, the kernel each segment: of acknowledgements of octets in order
    that follow each other, the last counts."""
    kept = []
    for delay, segment in segments:
        match = PLAIN_ACK.fullmatch(segment)
        before = PLAIN_ACK.fullmatch(kept[-1][1]) if kept and match else None
        if before and before.group(1) == match.group(1) and int(before.group(2)) < int(
                match.group(2)):
            kept.pop()
        kept.append((delay, segment))
    return kept


def merged_reads(events):
    """Octets arrive in portions of any size: only how many counts."""
    others = [event for event in events if not event.startswith("read ")]
    total = sum(int(event[5:]) for event in events if event.startswith("read "))
    return others + (["read %d" % total] if total else [])


def differences(ours, theirs):
    """Sentences, each beginning with the word that differences.md names it by."""
    for mine, other in zip(ours.lines, theirs.lines):
        line = mine[0]
        mine[1], other[1] = acks_joined(mine[1]), acks_joined(other[1])
        my_segments = [segment for _, segment in mine[1]]
        other_segments = [segment for _, segment in other[1]]
        if my_segments != other_segments:
            yield "segments", "line %d: ours %s, Linux %s" % (
                line, "; ".join(my_segments) or "none", "; ".join(other_segments) or "none")
        else:
            for (my_delay, segment), (delay, _) in zip(mine[1], other[1]):
                if abs(my_delay - delay) > max(LATE_S, LATE_SHARE * max(delay, my_delay)):
                    yield "time", "line %d: %s after %.3f s, Linux after %.3f s" % (
                        line, segment, my_delay, delay)
        if merged_reads(mine[2]) != merged_reads(other[2]):
            yield "events", "line %d: ours %s, Linux %s" % (
                line, ", ".join(merged_reads(mine[2])) or "none",
                ", ".join(merged_reads(other[2])) or "none")


def table():
    """Rows of differences.md: [case pattern, word, needed]."""
    rows = []
    with open(TABLE, encoding="utf-8") as file:
        for text in file:
            fields = [field.strip(" `") for field in text.strip().strip("|").split("|")]
            if text.startswith("|") and len(fields) == 3 and "/" in fields[0]:
                rows.append([fields[0], fields[1], False])
    return rows


def explained(rows, case, word):
    found = False
    for row in rows:
        if fnmatch.fnmatchcase(case, row[0]) and word == row[1]:
            row[2] = found = True
    return found


def record(run, case, *options):
    return subprocess.Popen([run, "--record", *options, "--case", case, CASES],
                            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def run_all(run, cases):
    """(case, ours, theirs) for each, the kernel's in many namespaces at once."""
    waiting, running = list(cases), []
    while waiting or running:
        while waiting and len(running) < AT_ONCE:
            case = waiting.pop(0)
            running.append((case, record(run, case, "--linux")))
        for case, process in running:
            if process.poll() is not None:
                theirs = Record(process.communicate()[0])
                ours = Record(record(run, case).communicate()[0])
                yield case, ours, theirs
        running = [item for item in running if item[1].returncode is None]
        time.sleep(0.01)


def chosen(run):
    listing = subprocess.run([run, "--list", CASES], stdout=subprocess.PIPE, text=True, check=True)
    for row in listing.stdout.splitlines():
        name, seconds = row.split()
        if float(seconds) <= SECONDS_MAX:
            yield name


def show(run, case):
    for options in ((), ("--linux",)):
        print(record(run, case, *options).communicate()[0])


def unexplained(rows, case, ours, theirs):
    return ["%s: %s" % (word, text) for word, text in differences(ours, theirs)
            if not explained(rows, case, word)]


def judge(run, rows, case, ours, theirs):
    """None when the kernel cannot be asked."""
    if theirs.unsupported or theirs.fault:
        print("skip %s: %s" % (case, theirs.unsupported or theirs.fault))
        return None
    open_ones = unexplained(rows, case, ours, theirs)
    for _ in range(2):
        if open_ones:
            ours, theirs = (Record(record(run, case, *options).communicate()[0])
                            for options in ((), ("--linux",)))
            open_ones = unexplained(rows, case, ours, theirs)
    if open_ones:
        print("FAIL %s: %s" % (case, " / ".join(open_ones)))
        return False
    print("ok %s" % case)
    return True


def main():
    arguments = sys.argv[1:]
    only = None
    if arguments[:1] == ["--show"]:
        only, arguments = arguments[1], arguments[2:]
    run = arguments[0] if arguments else os.path.join(ROOT, "build/tests/script/script_run")
    if os.geteuid() != 0:
        print("skip differential: needs root for TUN devices and namespaces")
        return 77
    if only:
        show(run, only)
        return 0
    rows = table()
    results = [judge(run, rows, *item) for item in run_all(run, chosen(run))]
    is_good = False not in results and True in results
    for pattern, word, needed in rows:
        if not needed:
            print("note: no case needed `%s` %s of differences.md this time" % (pattern, word))
    print("%d compared, %d differ and are explained nowhere, %d skipped" % (
        results.count(True) + results.count(False), results.count(False), results.count(None)))
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main())
