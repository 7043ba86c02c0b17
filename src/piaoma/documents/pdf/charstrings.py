"""Type 2 charstrings (Adobe Technical Note 5177): the outline of one character, made to stand alone.

In a font file, strokes that characters share are subroutines, and a width is written as the difference from one of the
font. A subset of a hundred characters is smaller and sooner made without either: calls are replaced by what they call,
and the width is written as it is. Points and hints stay as the designer left them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

CALLS_DEEP_MAX = 10  # the note's own limit
SQUARE = 1000  # the width of a Chinese character, which none of them names

_CALL, _RETURN, _ESCAPE, _END, _NUMBER, _CALL_COMMON = 10, 11, 12, 14, 28, 29
_STEMS, _MASKS = frozenset((1, 3, 18, 23)), frozenset((19, 20))
_FLEXES = frozenset((34, 35, 36, 37))
_TAKES = {4: 1, 21: 2, 22: 1, _END: 0}  # operands of what may come first in a glyph without stems
# A number of one, two, three or five bytes; an operator of two bytes or one.
_UNTIL_MASK = re.compile(rb"(?:[\x20-\xf6]|[\xf7-\xfe].|\x1c..|\xff.{4}|\x0c.|[^\x13\x14])*[\x13\x14]?", re.DOTALL)
_TOKEN = re.compile(rb"[\x20-\xf6]|[\xf7-\xfe].|\x1c..|\xff.{4}|\x0c.|.", re.DOTALL)


class OutlineFault(ValueError):
    """A charstring that does not follow the note, or has arithmetic, which no font of ours has."""


def standing_alone(code: bytes, width: int, local: Sequence[bytes], common: Sequence[bytes]) -> bytes:
    """A charstring without calls, with the width (thousandths of an em) that the font's own table gives it.

    ``local`` and ``common`` are the subroutines of the character's part of the font and of the whole font.
    Raises ``OutlineFault``.
    """
    outline = _Outline(local, common)
    outline.run(code, 0)
    return (b"" if width == SQUARE else encoded(width)) + bytes(outline.code)


class _Outline:
    def __init__(self, local: Sequence[bytes], common: Sequence[bytes]) -> None:
        self._called = {_CALL: local, _CALL_COMMON: common}
        self.code = bytearray()
        self._operands: list[bytes] = []
        self._stems = 0
        self._begun = False  # whether the width was passed

    def run(self, code: bytes, deep: int) -> None:
        """Copy a charstring, or a subroutine in its place."""
        if deep > CALLS_DEEP_MAX:
            raise OutlineFault("calls too deep")
        place = first = 0
        while place < len(code):
            found = _UNTIL_MASK.match(code, place)
            assert found is not None  # it matches nothing as well
            until = found.end()
            for token in _TOKEN.findall(code, place, until):
                first = token[0]
                if first >= 32 or first == _NUMBER:
                    self._operands.append(token)
                elif first in self._called:
                    self._call(self._called[first], deep)
                elif first == _RETURN:
                    return
                else:
                    self._operate(token)
            place = until
            if first in _MASKS:  # its bits follow, which are no tokens
                place += (self._stems + 7) // 8
                self.code += code[until:place]

    def _call(self, routines: Sequence[bytes], deep: int) -> None:
        if not self._operands:
            raise OutlineFault("a call of nothing")
        place = decoded(self._operands.pop()) + bias(len(routines))
        if not 0 <= place < len(routines):
            raise OutlineFault("a call of what is not there")
        self.run(routines[place], deep + 1)

    def _operate(self, operator: bytes) -> None:
        """Copy an operator with what it takes."""
        first, operands = operator[0], self._operands
        if first == _ESCAPE and operator[-1] not in _FLEXES:
            raise OutlineFault("arithmetic")
        stems = first in _STEMS or first in _MASKS  # stems before a mask need no operator of their own
        if not self._begun:
            self._begun = True
            if len(operands) % 2 if stems else len(operands) > _TAKES.get(first, len(operands)):
                del operands[0]  # one more than it takes: the width
        if stems:
            self._stems += len(operands) // 2
        self.code += b"".join(operands) + operator
        operands.clear()


def bias(count: int) -> int:
    """What is added to the number of a subroutine, by how many there are."""
    return 107 if count < 1240 else 1131 if count < 33900 else 32768


def encoded(number: int) -> bytes:
    """A whole number as an operand."""
    if -107 <= number <= 107:
        return bytes((number + 139,))
    return b"\x1c" + number.to_bytes(2, "big", signed=True)


def decoded(token: bytes) -> int:
    """The whole number of an operand."""
    first = token[0]
    if first < 32:  # 28, or 29 in the dictionaries of a font
        return int.from_bytes(token[1:], "big", signed=True)
    if first < 247:
        return first - 139
    if first == 255:
        raise OutlineFault("a fraction where a whole number is needed")
    return (first - 247) * 256 + 108 + token[1] if first < 251 else (251 - first) * 256 - 108 - token[1]
