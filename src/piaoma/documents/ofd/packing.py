"""The package (封装) as bytes: a zip with a fixed order and fixed times, so that the same parts make the same bytes.

Written here, since a part that is the same in many packages is then deflated and digested once in a process, not once
in each: that is two thirds of what a general archiver would do.
"""

from __future__ import annotations

import base64
import struct
import zlib
from collections.abc import Mapping
from functools import cached_property

from piaoma.trust import sm3

from .opening import RATIO_FREE_BYTES

RATIO_MAX_WRITTEN = 40  # a part that shrinks more is kept as it is: readers take it for a bomb

_STORED, _DEFLATED = 0, 8
_VERSION, _UTF8, _DAY = 20, 0x800, 1 << 5 | 1  # of the format; the name is UTF-8; 1980-01-01
_LOCAL, _CENTRAL, _END = struct.Struct("<4s5H3I2H"), struct.Struct("<4s6H3I5H2I"), struct.Struct("<4s4H2IH")


class Part:
    """One part. What is worked out of its bytes is kept with it. ``often`` says that it stands in many packages, so
    that it is worth shrinking well; ``dense`` that it is random or shrunk already."""

    def __init__(self, data: bytes, *, often: bool = False, dense: bool = False) -> None:
        self.data = data
        self._dense = dense
        self._level = 9 if often else 1  # level 6 would take four times as long, for an eighth of a page

    @cached_property
    def digest(self) -> str:
        """SM3, in Base64."""
        return base64.b64encode(sm3(self.data)).decode()

    @cached_property
    def packed(self) -> tuple[int, bytes, int]:
        """How it is kept in the package, as which bytes, and its CRC-32."""
        checksum = zlib.crc32(self.data)
        if self._dense:
            return _STORED, self.data, checksum
        deflater = zlib.compressobj(self._level, zlib.DEFLATED, -15)
        small = deflater.compress(self.data) + deflater.flush()
        bomb = len(self.data) > RATIO_FREE_BYTES and len(small) * RATIO_MAX_WRITTEN < len(self.data)
        return (_STORED, self.data, checksum) if bomb else (_DEFLATED, small, checksum)


def pack(parts: Mapping[str, Part]) -> bytes:
    """The parts, in the order of the mapping, as a zip."""
    entries: list[bytes] = []
    index: list[bytes] = []
    place = 0
    for name, part in parts.items():
        path = name.encode()
        method, kept, checksum = part.packed
        flags = 0 if name.isascii() else _UTF8
        about = (flags, method, 0, _DAY, checksum, len(kept), len(part.data), len(path), 0)
        entries += (_LOCAL.pack(b"PK\3\4", _VERSION, *about), path, kept)
        index += (_CENTRAL.pack(b"PK\1\2", _VERSION, _VERSION, *about, 0, 0, 0, 0, place), path)
        place += _LOCAL.size + len(path) + len(kept)
    central = b"".join(index)
    end = _END.pack(b"PK\5\6", 0, 0, len(parts), len(parts), len(central), place, 0)
    return b"".join((*entries, central, end))
