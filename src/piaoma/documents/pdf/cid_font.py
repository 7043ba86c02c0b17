"""A font of chosen glyphs in the Compact Font Format (Adobe Technical Note 5176), as a PDF takes it: CIDFontType0C.

Its glyphs come from several files, each with the values that its own hints are meant for.
"""

from __future__ import annotations

import struct
from itertools import accumulate

from .charstrings import DEFAULT_WIDTH, encoded
from .outlines import Glyph

NOTDEF = Glyph(b"\x0e", DEFAULT_WIDTH, encoded(DEFAULT_WIDTH) + b"\x14")  # what is missing: nothing, and never drawn


def cid_font(name: str, glyphs: list[Glyph]) -> bytes:
    """The font of these glyphs, of which the first is ``NOTDEF``. The number of each is its CID as well."""
    privates = list({glyph.private: None for glyph in glyphs})
    parts = {private: place for place, private in enumerate(privates)}
    strings = _index([b"Adobe", b"Identity"])
    names = _index([name.encode()])
    charset = b"\x02" + struct.pack(">HH", 1, len(glyphs) - 2)  # one range; the first glyph is not in it
    chosen = b"\x00" + bytes([parts[glyph.private] for glyph in glyphs])
    codes = _index([glyph.code for glyph in glyphs])
    # The lengths of what names places do not depend on the places.
    at = 4 + len(names) + len(_top(0, 0, 0, 0, 0)) + len(strings) + 2
    charset_at, chosen_at = at, at + len(charset)
    codes_at = chosen_at + len(chosen)
    parts_at = codes_at + len(codes)
    private_at = parts_at + len(_index([_part(0, 0)] * len(privates)))
    places = accumulate(map(len, privates), initial=private_at)
    return b"".join(
        (
            b"\x01\x00\x04\x04",
            names,
            _top(len(glyphs), charset_at, chosen_at, codes_at, parts_at),
            strings,
            b"\x00\x00",  # no common subroutines
            charset,
            chosen,
            codes,
            _index([_part(len(private), place) for private, place in zip(privates, places, strict=False)]),
            *privates,
        )
    )


def _top(count: int, charset: int, chosen: int, codes: int, parts: int) -> bytes:
    """The Top DICT: ROS, CIDCount, FontBBox, and where charset, FDSelect, CharStrings and FDArray are."""
    return _index(
        [
            _number(391) + _number(392) + _number(0) + b"\x0c\x1e" + _number(count) + b"\x0c\x22"
            + b"".join(map(_number, (-300, -300, 1500, 1100))) + b"\x05" + _number(charset) + b"\x0f"
            + _number(chosen) + b"\x0c\x25" + _number(codes) + b"\x11" + _number(parts) + b"\x0c\x24"
        ]
    )  # fmt: skip


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
