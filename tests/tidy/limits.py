#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Puts the option tables that a program prints with --document between the marks of LIMITS.md."""
import subprocess
import sys

BEGIN = "<!-- options: begin -->\n"
END = "<!-- options: end -->"


def main():
    program, page = sys.argv[1:]
    tables = subprocess.run([program, "--document"], check=True, capture_output=True,
                            text=True).stdout
    with open(page, encoding="utf-8") as file:
        text = file.read()
    head, rest = text.split(BEGIN)
    tail = rest.split(END)[1]
    with open(page, "w", encoding="utf-8") as file:
        file.write(head + BEGIN + tables + END + tail)


main()
