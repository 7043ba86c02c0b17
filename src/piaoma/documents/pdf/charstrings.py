"""Type 2 charstrings (Adobe Technical Note 5177): the outline of one character, made to stand alone.

In a font file, strokes that characters share are subroutines, and a width is written as the difference from one of the
font. A subset of a hundred characters is smaller and sooner made without either: calls are replaced by what they call,
and the width is written as it is. Points and hints stay as the designer left them.
"""

from __future__ import annotations

from collections.abc import Sequence

CALLS_DEEP_MAX = 10  # the note's own limit
DEFAULT_WIDTH = 1000  # of a character that names none: a Chinese one

_HSTEM, _VSTEM, _HSTEMHM, _VSTEMHM, _HINTMASK, _CNTRMASK = 1, 3, 18, 23, 19, 20
_CALL, _RETURN, _ESCAPE, _END, _CALL_GLOBAL = 10, 11, 12, 14, 29
_STEMS = {_HSTEM, _VSTEM, _HSTEMHM, _VSTEMHM}
_MASKS = {_HINTMASK, _CNTRMASK}
_TAKES = {4: 1, 21: 2, 22: 1, _END: 0}  # operands of what may come first in a glyph without stems


class OutlineFault(ValueError):
    """A charstring that does not follow the note, or has arithmetic, which no font of ours has."""


def standing_alone(code: bytes, width: int, local: Sequence[bytes], common: Sequence[bytes]) -> bytes:
    """A charstring without calls, with the width (thousandths of an em) that the font's own table gives it.

    ``local`` and ``common`` are the subroutines of the character's part of the font and of the whole font.
    """
    flat = _Flattener(local, common)
    flat.run(code, 0)
    return (b"" if width == DEFAULT_WIDTH else encoded(width)) + bytes(flat.out)


def encoded(number: int) -> bytes:
    """A whole number as an operand."""
    if -107 <= number <= 107:
        return bytes((number + 139,))
    return b"\x1c" + number.to_bytes(2, "big", signed=True)


class _Flattener:
    def __init__(self, local: Sequence[bytes], common: Sequence[bytes]) -> None:
        self._called = {_CALL: local, _CALL_GLOBAL: common}
        self.out = bytearray()
        self._operands: list[int] = []  # where each of those that wait for their operator begins in ``out``
        self._top = 0  # the last of them
        self._stems = 0
        self._begun = False  # whether the width was passed

    def run(self, code: bytes, deep: int) -> None:
        """Copy a charstring, or a subroutine in its place."""
        if deep > CALLS_DEEP_MAX:
            raise OutlineFault("calls too deep")
        place = 0
        while place < len(code):
            byte = code[place]
            if byte >= 32 or byte == 28:
                place += self._operand(code, place)
                continue
            place += 1
            if byte in self._called:
                routines = self._called[byte]
                del self.out[self._operands.pop() :]
                self.run(routines[self._top + bias(len(routines))], deep + 1)
            elif byte == _RETURN:
                return
            else:
                self._pass_width(byte)
                if byte in _STEMS or byte in _MASKS:  # stems before a mask need no operator of their own
                    self._stems += len(self._operands) // 2
                self.out.append(byte)
                self._operands.clear()
                if byte in _MASKS:
                    more = (self._stems + 7) // 8
                    self.out += code[place : place + more]
                    place += more
                elif byte == _ESCAPE:
                    if not 34 <= code[place] <= 37:  # the flexes
                        raise OutlineFault("arithmetic")
                    self.out.append(code[place])
                    place += 1

    def _operand(self, code: bytes, place: int) -> int:
        """Copy a number; how many bytes it has."""
        byte = code[place]
        if byte == 28:
            length, self._top = 3, int.from_bytes(code[place + 1 : place + 3], "big", signed=True)
        elif byte < 247:
            length, self._top = 1, byte - 139
        elif byte == 255:
            length, self._top = 5, 0  # with a fraction: never the number of a subroutine
        else:
            high = (byte - 247) * 256 + 108 if byte < 251 else (251 - byte) * 256 - 108
            length, self._top = 2, high + code[place + 1] if byte < 251 else high - code[place + 1]
        self._operands.append(len(self.out))
        self.out += code[place : place + length]
        return length

    def _pass_width(self, operator: int) -> None:
        """Drop the width, which is one operand more than the first operator takes."""
        if self._begun:
            return
        self._begun = True
        count = len(self._operands)
        stems = operator in _STEMS or operator in _MASKS
        if count % 2 if stems else count > _TAKES.get(operator, count):
            end = self._operands[1] if count > 1 else len(self.out)
            del self.out[:end]
            self._operands = [at - end for at in self._operands[1:]]


def bias(count: int) -> int:
    """What is added to the number of a subroutine, by how many there are."""
    return 107 if count < 1240 else 1131 if count < 33900 else 32768
