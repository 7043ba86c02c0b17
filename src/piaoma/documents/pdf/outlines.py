"""Characters out of OpenType font files with CFF outlines (Technical Note 5176): read where they stand, not the whole.

A Chinese font has thirty thousand characters in ten megabytes, of which an invoice draws a hundred. The file is mapped
into memory, and a character costs the look-ups that lead to it.
"""

from __future__ import annotations

import mmap
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from .charstrings import SQUARE, decoded, encoded, standing_alone
from .sfnt import Sfnt

_CHARSTRINGS, _PRIVATE, _SUBROUTINES, _WIDTH_UNNAMED, _NOMINAL_WIDTH = 17, 18, 19, 20, 21
_NUMBER = re.compile(rb"[\x20-\xf6]|[\xf7-\xfe].|\x1c..|\x1d.{4}", re.DOTALL)
_PARTS, _PARTS_OF_GLYPHS = 0xC24, 0xC25  # FDArray, FDSelect


class Glyph(msgspec.Struct, frozen=True):
    """A character as a subset takes it: its charstring, its width in thousandths of an em, and the Private DICT whose
    values its hints are meant for."""

    code: bytes
    width: int
    private: bytes


class Face(Sfnt):
    """A face of a font file with CFF outlines."""

    def __init__(self, path: Path, face: int = 0) -> None:
        super().__init__(path, face)
        self._cff = self.tables[b"CFF "]
        names = _Index(self.data, self._cff + self.data[self._cff + 2])
        tops = _Index(self.data, names.end)
        self._common = _Index(self.data, _Index(self.data, tops.end).end)  # behind the strings
        top = dict(_entries(tops[0]))
        self._codes = _Index(self.data, self._cff + _numbers(top[_CHARSTRINGS])[0])
        self._of_glyphs = self._cff + _numbers(top[_PARTS_OF_GLYPHS])[0] if _PARTS in top else 0
        parts = _Index(self.data, self._cff + _numbers(top[_PARTS])[0]) if _PARTS in top else [tops[0]]
        self._parts = [self._part(dict(_entries(part))) for part in parts]

    def glyph(self, number: int) -> Glyph:
        """The glyph with that number."""
        width = self.width(number)
        local, private = self._parts[self._part_of(number) if self._of_glyphs else 0]
        code = standing_alone(self._codes[number], width, local, self._common)
        return Glyph(code, width, private)

    def _part_of(self, number: int) -> int:
        """Which part of a CID font a glyph belongs to (FDSelect): latin letters, ideographs, …"""
        at = self._of_glyphs
        if self.data[at] == 0:
            return self.data[at + 1 + number]
        low, high = 0, self._u16(at + 1)  # format 3: ranges of three bytes, of which we look for the last one to begin
        while high - low > 1:
            middle = (low + high) // 2
            low, high = (middle, high) if self._u16(at + 3 + 3 * middle) <= number else (low, middle)
        return self.data[at + 5 + 3 * low]

    def _part(self, part: dict[int, bytes]) -> tuple[Sequence[bytes], bytes]:
        """The subroutines of a part, and its Private DICT without what only this file needs."""
        size, offset = _numbers(part[_PRIVATE])
        start = self._cff + offset
        entries = dict(_entries(self.data[start : start + size]))
        local = entries.pop(_SUBROUTINES, None)
        entries.pop(_NOMINAL_WIDTH, None)
        entries[_WIDTH_UNNAMED] = encoded(SQUARE)
        private = b"".join(value + _operator(name) for name, value in entries.items())
        return _Index(self.data, start + _numbers(local)[0]) if local else [], private


class _Index(Sequence[bytes]):
    """An INDEX: byte strings behind a table of where each begins."""

    def __init__(self, data: mmap.mmap, at: int) -> None:
        self._data = data
        self._count = int.from_bytes(data[at : at + 2], "big")
        if not self._count:
            self.end = at + 2
            return
        self._wide, self._table = data[at + 2], at + 3
        self._base = self._table + (self._count + 1) * self._wide - 1
        self.end = self._where(self._count)

    def _where(self, place: int) -> int:
        at = self._table + place * self._wide
        return self._base + int.from_bytes(self._data[at : at + self._wide], "big")

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, place: int) -> bytes:  # type: ignore[override]
        if not 0 <= place < self._count:
            raise IndexError(place)
        return self._data[self._where(place) : self._where(place + 1)]


def _entries(data: bytes) -> Iterator[tuple[int, bytes]]:
    """A DICT as operators, each with the bytes of its operands."""
    begun = place = 0
    while place < len(data):
        byte = data[place]
        if byte <= 21:
            operator = 0xC00 | data[place + 1] if byte == 12 else byte
            yield operator, data[begun:place]
            place = begun = place + (2 if byte == 12 else 1)
        elif byte == 30:  # a decimal, four bits a digit, until an F
            place += 1
            while data[place] & 0xF != 0xF and data[place] >> 4 != 0xF:
                place += 1
            place += 1
        else:
            place += 3 if byte == 28 else 5 if byte == 29 else 1 if byte < 247 else 2


def _operator(name: int) -> bytes:
    return bytes((name >> 8, name & 0xFF)) if name > 0xFF else bytes((name,))


def _numbers(operands: bytes) -> list[int]:
    """Whole numbers of a DICT."""
    return [decoded(token) for token in _NUMBER.findall(operands)]
