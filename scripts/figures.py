#!/usr/bin/env python3
"""Puts the figures that tests printed into the last column of tests/RELIABILITY.md.

usage: scripts/figures.py LOG    where LOG is what `make test-faults` printed
"""

import collections
import re
import sys

PAGE = "tests/RELIABILITY.md"
FIGURE = re.compile(r"^FIGURE (\S+) \| (.+) \| (\d+)$", re.MULTILINE)


def main() -> None:
    with open(sys.argv[1], encoding="utf-8", errors="replace") as log:
        text = log.read()
    figures: dict = collections.defaultdict(lambda: collections.defaultdict(int))
    for test, what, number in FIGURE.findall(text):
        figures[test][what] += int(number)
    with open(PAGE, encoding="utf-8") as page:
        lines = page.read().split("\n")
    unused = set(figures)
    for at, line in enumerate(lines):
        cells = line.split(" | ")
        if len(cells) != 4 or not line.startswith("| ") or cells[0] == "| promise":
            continue
        tests = [test for test in re.findall(r"`([^`]+::[^`]+)`", cells[2]) if test in figures]
        unused -= set(tests)
        all_of = [f"{number:,} {what}" for test in tests for what, number in figures[test].items()]
        cells[3] = "<br>".join(all_of) + " |"
        lines[at] = " | ".join(cells)
    if unused:
        sys.exit(f"{PAGE} names no row for the figures of: {', '.join(sorted(unused))}")
    with open(PAGE, "w", encoding="utf-8") as page:
        page.write("\n".join(lines))


main()
