#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The generated parts of docs/LIMITS.md: the options, as a program prints them with --document, and
the fixed limits, as the headers define them. `ninja -C build limits` runs this."""
import os
import re
import subprocess
import sys

OPTIONS = "options"  # checked by tests/core/config_test.c
FIXED = "fixed"      # checked by the tidy rule "limits"

DEFINITION = re.compile(r"^#define ([A-Z0-9_]+_(?:MAX|PER_SECOND|BURST)) +(.+?) *(?:/\*(.*?)\*/)?$",
                        re.M)
NOT_A_LIMIT = {"NS_PER_SECOND"}


def marks(name):
    return "<!-- %s: begin -->\n" % name, "<!-- %s: end -->" % name


def part_of(page, name):
    """What stands between the marks, or None."""
    begin, end = marks(name)
    if begin not in page or end not in page.split(begin)[1]:
        return None
    return page.split(begin)[1].split(end)[0]


def with_part(page, name, text):
    begin, end = marks(name)
    head, rest = page.split(begin)
    return head + begin + text + end + rest.split(end)[1]


def fixed_table(headers):
    """Markdown rows of every limit that a header defines; headers maps path to text."""
    rows = ["| limit | value | where | note |\n|---|---|---|---|\n"]
    for path in sorted(headers):
        for name, value, note in DEFINITION.findall(headers[path]):
            if name not in NOT_A_LIMIT:
                value = re.sub(r"\b(\d+|0x[0-9a-fA-F]+)u\b|U?INT(?:32|64)_C\((\w+)\)",
                               lambda match: match.group(1) or match.group(2), value)
                rows.append("| `%s` | `%s` | %s | %s |\n" %
                            (name, value, os.path.basename(path), note.strip().replace("|", "/")))
    return "".join(rows)


def headers_read(root):
    headers = {}
    for folder in ("include", "src"):
        for at, _, names in os.walk(os.path.join(root, folder)):
            for name in names:
                if name.endswith(".h"):
                    path = os.path.join(at, name)
                    with open(path, encoding="utf-8") as file:
                        headers[os.path.relpath(path, root)] = file.read()
    return headers


def main():
    program, path = sys.argv[1:]
    options = subprocess.run([program, "--document"], check=True, capture_output=True,
                             text=True).stdout
    with open(path, encoding="utf-8") as file:
        page = file.read()
    page = with_part(page, OPTIONS, options)
    page = with_part(page, FIXED, fixed_table(headers_read(os.path.dirname(os.path.dirname(path)))))
    with open(path, "w", encoding="utf-8") as file:
        file.write(page)


if __name__ == "__main__":
    main()
