"""What the fonts of the view can draw, and how wide: a packaged table, so that the core needs no font.

An invoice whose buyer's name cannot be printed must be refused before it is issued, not after. The table is made from
the fonts by scripts/build_printable.py and compared with them by a test.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

# Angle brackets have glyphs, and the platform forbids them.
_BRACKETS = "<>"


@cache
def _widths() -> dict[int, list[tuple[int, int]]]:
    """Ranges of characters by their width in thousandths of an em."""
    table: dict[int, list[tuple[int, int]]] = {}
    file = resources.files(__package__) / "data" / "printable.txt"
    for line in file.read_text(encoding="ascii").splitlines():
        if line.startswith("#"):
            continue
        width, *items = line.split(" ")
        ranges = table.setdefault(int(width), [])
        for item in items:
            first, _, last = item.partition("-")
            ranges.append((int(first, 16), int(last or first, 16)))
    return table


@cache
def refused() -> re.Pattern[str]:
    """One expression that finds the first character which may not stand in a text: not drawn, or an angle bracket.

    A set of ranges is compiled to a bitmap, so a text costs one pass in C.
    """
    drawn = "".join(
        f"{re.escape(chr(first))}-{re.escape(chr(last))}"
        for ranges in _widths().values()
        for whole in ranges
        for first, last in _without_brackets(*whole)
    )
    return re.compile(f"[^{drawn}]")


@cache
def advances() -> dict[str, int]:
    """The width of every character that is not a square, in thousandths of an em: letters, digits, signs, Hangul."""
    return {
        chr(code): width
        for width, ranges in _widths().items()
        if width != 1000
        for first, last in ranges
        for code in range(first, last + 1)
    }


def letters() -> list[str]:
    """All of them."""
    return [chr(code) for ranges in _widths().values() for first, last in ranges for code in range(first, last + 1)]


def _without_brackets(first: int, last: int) -> list[tuple[int, int]]:
    pieces = [(first, last)]
    for code in map(ord, _BRACKETS):
        pieces = [
            part
            for one in pieces
            for part in ([(one[0], code - 1), (code + 1, one[1])] if one[0] <= code <= one[1] else [one])
            if part[0] <= part[1]
        ]
    return pieces
