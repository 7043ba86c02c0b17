"""A font of chosen glyphs in the Compact Font Format (Adobe Technical Note 5176), as a PDF takes it: CIDFontType0C.

Its glyphs come from several files, each with the values that its own hints are meant for.
"""

from __future__ import annotations

import struct
from itertools import accumulate

from .charstrings import SQUARE, encoded
from .outlines import Glyph

BOX = (-300, -300, 1500, 1100)  # in which all glyphs are, in thousandths of an em
NOTDEF = Glyph(b"\x0e", SQUARE, encoded(SQUARE) + b"\x14")  # what is missing: nothing, and never drawn


def cid_font(name: str, chosen: list[tuple[int, Glyph]]) -> bytes:
    """The font of these glyphs, each with its CID, in their order."""
    glyphs = [NOTDEF, *[glyph for _, glyph in chosen]]
    privates = list(dict.fromkeys([glyph.private for glyph in glyphs]))
    part_of = {private: place for place, private in enumerate(privates)}
    head = b"\x01\x00\x04\x04" + _index([name.encode()])
    charset = struct.pack(f">B{len(chosen)}H", 0, *[cid for cid, _ in chosen])  # the first glyph is not in it
    parts_of = bytes((0, *[part_of[glyph.private] for glyph in glyphs]))
    codes = _index([glyph.code for glyph in glyphs])
    charset_at = len(head) + _TOP_BYTES + len(_STRINGS) + len(_NO_ROUTINES)
    parts_of_at = charset_at + len(charset)
    codes_at = parts_of_at + len(parts_of)
    parts_at = codes_at + len(codes)
    private_at = parts_at + len(_index([_part(0, 0)] * len(privates)))  # its length does not depend on places
    places = accumulate(map(len, privates), initial=private_at)
    parts = _index([_part(len(private), place) for private, place in zip(privates, places, strict=False)])
    top = _top(0x10000, charset_at, parts_of_at, codes_at, parts_at)
    return b"".join((head, top, _STRINGS, _NO_ROUTINES, charset, parts_of, codes, parts, *privates))


def _top(count: int, charset: int, parts_of: int, codes: int, parts: int) -> bytes:
    """The Top DICT: ROS, FontBBox, CIDCount, and where charset, FDSelect, CharStrings and FDArray are."""
    entries = (
        (count, b"\x0c\x22"),
        (charset, b"\x0f"),
        (parts_of, b"\x0c\x25"),
        (codes, b"\x11"),
        (parts, b"\x0c\x24"),
    )
    return _index([_SYSTEM + b"".join([_number(value) + operator for value, operator in entries])])


def _part(length: int, place: int) -> bytes:
    """A Font DICT: where its Private DICT is."""
    return _number(length) + _number(place) + b"\x12"


def _number(value: int) -> bytes:
    """An operand of a DICT, five bytes whatever it is."""
    return b"\x1d" + value.to_bytes(4, "big", signed=True)


def _index(items: list[bytes]) -> bytes:
    """An INDEX, with places of two or four bytes."""
    places = list(accumulate(map(len, items), initial=1))
    wide, code = (2, "H") if places[-1] < 0x10000 else (4, "I")
    return struct.pack(f">HB{len(places)}{code}", len(items), wide, *places) + b"".join(items)


_STRINGS = _index([b"Adobe", b"Identity"])  # numbers 391 and 392
_NO_ROUTINES = b"\x00\x00"
_SYSTEM = b"".join(map(_number, (391, 392, 0))) + b"\x0c\x1e" + b"".join(map(_number, BOX)) + b"\x05"
_TOP_BYTES = len(_top(0, 0, 0, 0, 0))
