"""Sets of places in a block as bits of one integer, and numbers of a block as slices of bits.

A block holds ``BLOCK`` places. A set is an ``int`` whose bit ``p`` says whether place ``p`` of the block is in it:
AND, OR and counting over sixteen thousand invoices are each about a microsecond. Numbers (days, totals) are kept as a
bit-sliced index: slice ``i`` is the set of places whose number has bit ``i``. So a range is found and a sum is made
over any set of places without looking at a single row.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Sequence

BLOCK_BITS = 14
BLOCK = 1 << BLOCK_BITS
SPARSE_MAX = 256  # places that are kept one by one; more are kept as the bits themselves
_SPARSE, _DENSE = b"\x00", b"\x01"


def from_places(places: Iterable[int]) -> int:
    """The set of some places of a block."""
    bits = bytearray(BLOCK // 8)
    for place in places:
        bits[place >> 3] |= 1 << (place & 7)
    return int.from_bytes(bits, "little")


def places_of(bits: int) -> Iterator[int]:
    """The places of a set, the last one first."""
    data = bits.to_bytes((bits.bit_length() + 7) // 8, "little")
    for index in range(len(data) - 1, -1, -1):
        byte = data[index]
        while byte:
            top = byte.bit_length() - 1
            yield index * 8 + top
            byte ^= 1 << top


def encode(bits: int) -> bytes:
    """A set as it is stored: two bytes a place while there are few, else one bit for each place up to the last."""
    if bits.bit_count() <= SPARSE_MAX:
        return _SPARSE + array("H", reversed(list(places_of(bits)))).tobytes()
    return _DENSE + bits.to_bytes((bits.bit_length() + 7) // 8, "little")


def decode(data: bytes) -> int:
    """The set again."""
    if data[:1] == _DENSE:
        return int.from_bytes(data[1:], "little")
    few = array("H")
    few.frombytes(data[1:])
    return from_places(few)


def extended(data: bytes | None, places: Sequence[int]) -> bytes:
    """A stored set with some later places added, in rising order."""
    if data is None:
        data = _SPARSE
    if data[:1] == _SPARSE and len(data) // 2 + len(places) <= SPARSE_MAX:
        return data + array("H", places).tobytes()
    return encode(decode(data) | from_places(places))


class Slices:
    """The numbers of a block's places, bit by bit. Every number lies within ``0 <= number < 1 << width``."""

    def __init__(self, slices: Sequence[int], size: int) -> None:
        self.slices = list(slices)
        self.size = size

    @classmethod
    def empty(cls, width: int) -> Slices:
        return cls([0] * width, 0)

    def append(self, numbers: Sequence[int]) -> None:
        """Numbers for the next places."""
        columns: list[list[int]] = [[] for _ in self.slices]
        for place, number in enumerate(numbers, self.size):
            assert 0 <= number < 1 << len(columns), "a number fits its slices"
            while number:
                low = number & -number
                columns[low.bit_length() - 1].append(place)
                number ^= low
        for index, column in enumerate(columns):
            if column:
                self.slices[index] |= from_places(column)
        self.size += len(numbers)

    def at_least(self, bound: int) -> int:
        """The places whose number is ``bound`` or more."""
        everything = (1 << self.size) - 1
        if bound <= 0:
            return everything
        if bound >= 1 << len(self.slices):
            return 0
        greater, equal = 0, everything
        for index in range(len(self.slices) - 1, -1, -1):
            if bound >> index & 1:
                equal &= self.slices[index]
            else:
                greater |= equal & self.slices[index]
                equal &= ~self.slices[index]
        return greater | equal

    def between(self, least: int | None, most: int | None) -> int:
        """The places whose number lies between the bounds, both included; None is no bound."""
        found = (1 << self.size) - 1 if least is None else self.at_least(least)
        return found if most is None else found & ~self.at_least(most + 1)

    def sum(self, places: int) -> int:
        """The sum of the numbers of some places."""
        return sum((each & places).bit_count() << index for index, each in enumerate(self.slices) if each)

    def encode(self) -> bytes:
        """As stored: for each slice one byte (none, all, some), then the bits of those that have some."""
        everything, length = (1 << self.size) - 1, (self.size + 7) // 8
        marks, parts = bytearray(), []
        for each in self.slices:
            marks.append(0 if each == 0 else 1 if each == everything else 2)
            if marks[-1] == 2:
                parts.append(each.to_bytes(length, "little"))
        return bytes(marks) + b"".join(parts)

    @classmethod
    def decode(cls, data: bytes, width: int, size: int) -> Slices:
        everything, length, at = (1 << size) - 1, (size + 7) // 8, width
        slices = []
        for mark in data[:width]:
            if mark == 2:
                slices.append(int.from_bytes(data[at : at + length], "little"))
                at += length
            else:
                slices.append(everything if mark else 0)
        return cls(slices, size)
