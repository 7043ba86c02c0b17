"""The body of a PDF file (ISO 32000-1 §7): numbered objects, the table of where each begins, the trailer.

A classical table and no streams of objects: what a file says about itself can be read in it, and the update that signs
it (``pdf_signature``) finds catalogue and page by their text.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from functools import lru_cache
from itertools import accumulate, chain, repeat

HEAD = b"%PDF-1.7\n%\xe7\xa5\xa8\xe7\xa0\x81\n"  # bytes beyond ASCII: this is not a text
_END = b"\nendobj\n"
PLAIN_BYTES_MAX = 16 * 1024  # of a stream that is not compressed: it would save little, and take a quarter of the time
LEVEL = 4  # of deflate: higher ones save a twentieth more and take twice as long


def stream(entries: str, data: bytes, plain_max: int = PLAIN_BYTES_MAX) -> bytes:
    """A stream; compressed when it is large. ``entries`` of its dictionary, besides length and filter."""
    if len(data) > plain_max:
        data, entries = zlib.compress(data, LEVEL), f"{entries}/Filter/FlateDecode"
    return b"<<%b/Length %d>>\nstream\n%b\nendstream" % (entries.encode(), len(data), data)


def text(value: str) -> str:
    """A text string: as it is when every reader knows its characters, else in UTF-16."""
    if value.isascii() and value.isprintable() and not set(value) & set("()\\"):
        return f"({value})"
    return f"<FEFF{value.encode('utf-16-be').hex().upper()}>"


def file_of(objects: Sequence[bytes], catalog: int, information: int, identity: str) -> bytes:
    """The file with these objects, numbered from 1. ``identity`` is 32 hexadecimal digits."""
    count = len(objects)
    pieces = list(chain.from_iterable(zip(_heads(count), objects, repeat(_END))))
    ends = list(accumulate(map(len, pieces), initial=len(HEAD)))
    table = b"xref\n0 %d\n0000000000 65535 f\r\n" % (count + 1)  # the object 0 is none
    rows = b"%010d 00000 n\r\n" * count % tuple(ends[:-1:3])
    trailer = (
        f"trailer\n<</Size {count + 1}/Root {catalog} 0 R/Info {information} 0 R/ID[<{identity}><{identity}>]>>\n"
        f"startxref\n{ends[-1]}\n%%EOF"
    )
    return b"".join((HEAD, *pieces, table, rows, trailer.encode()))


@lru_cache(64)
def _heads(count: int) -> list[bytes]:
    return [b"%d 0 obj\n" % number for number in range(1, count + 1)]
