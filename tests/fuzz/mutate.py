"""Spoiling good input: the same random numbers give the same bytes, so whatever fails can be had again."""

from __future__ import annotations

import io
import random
import zipfile
from collections.abc import Sequence

BYTES_MAX = 1_000_000  # of an input
STEPS_MAX = 6  # mutations one after the other
# What has surprised parsers before: limits of integers, ends of texts, and the words of formats with powers.
WORDS = (
    b"\0", b"\xff\xff\xff\xff", b"-1", b"0", b"4294967296", b"9" * 400, b"1e999", b"NaN", b"../", b"/", b"<", b">",
    b"]]>", b"&amp;", b"&x;", b'<!DOCTYPE a [<!ENTITY x "y">]>', b"\xef\xbb\xbf", "𠮷".encode(), "\u202e".encode(),
    "，".encode(), b"%PDF", b"endstream", b"obj", b"PK\x05\x06", b"PK\x03\x04", b"\x30\x80", b"\x84\xff\xff\xff\xff",
    b"\n" * 50, b"+", b"=", b" " * 3_000, b"<a>" * 300, b"(" * 300, b"[" * 300,
)  # fmt: skip


def mutated(seeds: Sequence[bytes], chance: random.Random) -> bytes:
    """One of the seeds, spoilt in a few places; a zip now and then inside one of its parts, packed anew."""
    data = chance.choice(seeds)
    if data.startswith(b"PK\x03\x04") and chance.random() < 0.7:
        return _inside_zip(data, chance)
    return _spoilt(data, seeds, chance)


def _spoilt(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    for _ in range(chance.randint(1, STEPS_MAX)):
        data = _step(data, seeds, chance)[:BYTES_MAX]
    return data


def _step(data: bytes, seeds: Sequence[bytes], chance: random.Random) -> bytes:
    place = chance.randint(0, len(data))
    length = min(len(data) - place, int(chance.expovariate(1 / 12)) + 1)
    rest = data[place + length :]
    match chance.randrange(8):
        case 0 if place < len(data):
            return data[:place] + bytes((data[place] ^ 1 << chance.randrange(8),)) + data[place + 1 :]
        case 1:
            return data[:place] + rest
        case 2:
            return data[:place] + chance.choice(WORDS) + data[place:]
        case 3:
            return data[:place] + chance.choice(WORDS) + rest
        case 4:
            return data[:place] + data[place : place + length] * chance.choice((2, 3, 100, 5_000)) + rest
        case 5:
            return data[:place]
        case 6:
            other = chance.choice(seeds)
            return data[:place] + other[chance.randint(0, len(other)) :]
        case _:
            return data[:place] + chance.randbytes(length) + rest


def _inside_zip(data: bytes, chance: random.Random) -> bytes:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    chosen = chance.randrange(len(parts))
    name, part = parts[chosen]
    if chance.random() < 0.1:
        name = _spoilt(name.encode(), [name.encode()], chance).decode(errors="replace")[:300] or "x"
    parts[chosen] = (name, _spoilt(part, [one for _, one in parts], chance))
    if chance.random() < 0.1:
        parts.append((chance.choice(parts)[0] + chance.choice(("", "x", "/..")), b"<a/>"))
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", chance.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
        for name, part in dict(parts).items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), part)
    return file.getvalue()
