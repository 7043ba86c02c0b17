"""The shell of a font file (OpenType, TrueType): its tables, which glyph a character has, how wide each glyph is."""

from __future__ import annotations

import mmap
import sys
from array import array
from bisect import bisect_right
from pathlib import Path


class Sfnt:
    """A face of a font file, mapped into memory and read where it is asked for."""

    def __init__(self, path: Path, face: int = 0) -> None:
        with path.open("rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        start = self._u32(12 + 4 * face) if self.data[:4] == b"ttcf" else 0
        records = range(start + 12, start + 12 + 16 * self._u16(start + 4), 16)
        self.tables = {self.data[at : at + 4]: self._u32(at + 8) for at in records}
        self._widths, self._widths_count = self.tables[b"hmtx"], self._u16(self.tables[b"hhea"] + 34)
        self._firsts, self._lasts, self._glyphs = self._characters(self.tables[b"cmap"])

    def number(self, letter: str) -> int:
        """The number of a character's glyph; 0 when there is none."""
        code = ord(letter)
        place = bisect_right(self._firsts, code) - 1
        if place < 0 or code > self._lasts[place]:
            return 0
        return self._glyphs[place] + code - self._firsts[place]

    def codes(self) -> list[int]:
        """All characters that have a glyph."""
        return [code for first, last in zip(self._firsts, self._lasts, strict=True) for code in range(first, last + 1)]

    def width(self, number: int) -> int:
        """Of a glyph, in units of the font; all fonts of ours have a thousand in an em."""
        return self._u16(self._widths + 4 * min(number, self._widths_count - 1))

    def _u16(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 2], "big")

    def _u32(self, at: int) -> int:
        return int.from_bytes(self.data[at : at + 4], "big")

    def _characters(self, cmap: int) -> tuple[array[int], array[int], array[int]]:
        """First and last character of each range, and the glyph of the first: a table of all characters (format 12), or
        of those of two bytes (format 4)."""
        tables = [cmap + self._u32(cmap + 8 + 8 * record) for record in range(self._u16(cmap + 2))]
        formats = {self._u16(table): table for table in tables}
        if 12 not in formats:
            return self._two_byte_characters(formats[4])
        table = formats[12]
        groups = array("I", self.data[table + 16 : table + 16 + 12 * self._u32(table + 12)])
        if sys.byteorder == "little":
            groups.byteswap()
        return groups[0::3], groups[1::3], groups[2::3]

    def _two_byte_characters(self, table: int) -> tuple[array[int], array[int], array[int]]:
        size = self._u16(table + 6)  # of each of four arrays; two bytes lie between the first two
        codes, glyphs = array("I"), array("I")
        for at in range(table + 14, table + 14 + size, 2):
            last, first = self._u16(at), self._u16(at + size + 2)
            delta, where = self._u16(at + 2 * size + 2), at + 3 * size + 2
            for code in range(first, last + 1):
                offset = self._u16(where)
                glyph = self._u16(where + offset + 2 * (code - first)) if offset else code
                glyph = glyph + delta & 0xFFFF
                if glyph:
                    codes.append(code)
                    glyphs.append(glyph)
        return codes, codes, glyphs
