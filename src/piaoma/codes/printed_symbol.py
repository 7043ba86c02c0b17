"""The QR of an invoice (二维码), drawn fast: version 4, level M, mask 2, one byte segment (ISO/IEC 18004).

A general encoder takes a millisecond, a sixth of what the whole PDF may take. Of an invoice's text only its bits
differ: what every symbol has is learned from the general encoder once, and codewords are worked out here. The mask is
always the same, so that the symbol follows from the standard alone and costs no weighing of all eight.
"""

from __future__ import annotations

from functools import cache
from operator import itemgetter
from typing import Any

import segno

from piaoma.invoice.issued import IssuedInvoice

from .printed import invoice_text
from .symbol import Symbol

MASK = 2
_VERSION, _BYTES_MIN, _BYTES_MAX = 4, 43, 62  # what this version holds and the one below does not
_BLOCKS, _BLOCK_BYTES, _CHECK_BYTES = 2, 32, 18
_REMAINDER_BITS = 7
_LIGHT_AND_DARK = bytes.maketrans(b"01", b"\0\1")
_FIELD = 0x11D  # of the check codewords: x^8 + x^4 + x^3 + x^2 + 1


def invoice_symbol(invoice: IssuedInvoice) -> Symbol:
    """The symbol that is printed on an invoice."""
    return symbol_of(invoice_text(invoice))


def symbol_of(text: str) -> Symbol:
    """The symbol of a text."""
    data = text.encode()
    if not _BYTES_MIN <= len(data) <= _BYTES_MAX:
        return Symbol(text, segno.make_qr(data, mode="byte", error="m", boost_error=False, mask=MASK))
    masked, places, side = _frame()
    bits = int.from_bytes(_codewords(data)) << _REMAINDER_BITS
    ready = f"{bits ^ masked:0{_bits()}b}01".encode()
    modules = bytes(places(ready)).translate(_LIGHT_AND_DARK)
    rows = tuple(modules[start : start + side] for start in range(0, len(modules), side))
    return Symbol.of_modules(text, rows, _VERSION, "M")


def _bits() -> int:
    return _BLOCKS * (_BLOCK_BYTES + _CHECK_BYTES) * 8 + _REMAINDER_BITS


def _codewords(data: bytes) -> bytes:
    """Data and check codewords of all blocks, interleaved."""
    # Mode (4 bits), length (8), bytes, end (4): whole bytes again.
    segment = (((0b0100 << 8 | len(data)) << 8 * len(data) | int.from_bytes(data)) << 4).to_bytes(len(data) + 2)
    room = _BLOCKS * _BLOCK_BYTES
    filled = (segment + b"\xec\x11" * room)[:room]
    blocks = [filled[start : start + _BLOCK_BYTES] for start in range(0, room, _BLOCK_BYTES)]
    checks = [_check(block) for block in blocks]
    return bytes(one for row in zip(*blocks, strict=True) for one in row) + bytes(
        one for row in zip(*checks, strict=True) for one in row
    )


def _check(block: bytes) -> bytes:
    """The remainder of a block, by one step a byte."""
    steps, top, kept = _steps(), 8 * (_CHECK_BYTES - 1), (1 << 8 * (_CHECK_BYTES - 1)) - 1
    remainder = 0
    for byte in block:
        remainder = (remainder & kept) << 8 ^ steps[remainder >> top ^ byte]
    return remainder.to_bytes(_CHECK_BYTES)


def _times(one: int, other: int) -> int:
    product = 0
    while other:
        product ^= one if other & 1 else 0
        one = one << 1 ^ (_FIELD if one & 0x80 else 0)
        other >>= 1
    return product


@cache
def _steps() -> list[int]:
    """For each byte, its multiple of the generator: the product of x - 2^i."""
    generator = [1]
    root = 1
    for _ in range(_CHECK_BYTES):
        shifted = [*generator, 0]
        generator = [high ^ _times(low, root) for high, low in zip(shifted, [0, *generator], strict=True)]
        root = _times(root, 2)
    return [int.from_bytes(bytes(_times(byte, one) for one in generator[1:])) for byte in range(256)]


@cache
def _frame() -> tuple[int, Any, int]:
    """Which bits the mask turns, how to pick every module from bits with ``01`` behind them, and the side.

    Codewords go up and down in pairs of columns from the right, around what every symbol has.
    """
    code = segno.make_qr(b"0" * _BYTES_MIN, mode="byte", error="m", boost_error=False, mask=MASK)
    known = [bytes(row) for row in code.matrix]
    side, bits = len(known), _bits()
    place: dict[tuple[int, int], int] = {}
    for pair, right in enumerate([*range(side - 1, 6, -2), *range(5, 0, -2)]):
        for y in range(side) if pair % 2 else range(side - 1, -1, -1):
            for x in (right, right - 1):
                if _holds_data(y, x, side):
                    place[y, x] = len(place)
    masked = sum(1 << bits - 1 - where for (_, x), where in place.items() if x % 3 == 0)
    picked = [place.get((y, x), bits + known[y][x]) for y in range(side) for x in range(side)]
    return masked, itemgetter(*picked), side


def _holds_data(y: int, x: int, side: int) -> bool:
    """Not what every symbol of this version has: corners with the format beside them, timing, alignment."""
    corner = (y < 9 and (x < 9 or x >= side - 8)) or (y >= side - 8 and x < 9)
    aligned = side - 9 <= y <= side - 5 and side - 9 <= x <= side - 5
    return not (corner or aligned or 6 in (x, y))
