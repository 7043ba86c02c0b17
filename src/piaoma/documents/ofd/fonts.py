"""Fonts inside an OFD (嵌入字体), as an option: TrueType subsets of what one invoice draws.

Readers of OFD draw TrueType outlines (glyf); ours are CFF, so each character's curves are turned into quadratic ones,
once in a process. Subsets are made by fonttools, which only this option needs. The same invoice gives the same bytes.
"""

from __future__ import annotations

import io
from functools import cache
from typing import TYPE_CHECKING, Any

from piaoma.documents.faces import font_files

if TYPE_CHECKING:
    from fontTools.ttLib import TTFont

ERROR_MAX = 1.0  # of a turned curve, in thousandths of an em
_EM, _ASCENT, _DESCENT = 1000, 880, -120


class Subset:
    """What an invoice draws in one font. Glyphs have numbers in the order of their first use."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self.complete = True

    def use(self, text: str) -> None:
        """Draw a text in this font."""
        for letter in text:
            if letter not in self._numbers:
                self._numbers[letter] = len(self._numbers) + 1  # 0 is the glyph for what is missing
                self.complete = self.complete and _outline(letter) is not None

    def number(self, letter: str) -> int:
        """The number of a character's glyph."""
        return self._numbers[letter]

    def file(self, name: str) -> bytes:
        """The font."""
        from fontTools.fontBuilder import FontBuilder
        from fontTools.pens.ttGlyphPen import TTGlyphPen

        drawn = {f"g{number}": _outline(letter) for letter, number in self._numbers.items()}
        empty = TTGlyphPen(None).glyph()
        order = [".notdef", *drawn]
        builder = FontBuilder(_EM, isTTF=True)
        builder.setupHead(unitsPerEm=_EM, created=0, modified=0)
        builder.font.recalcTimestamp = False
        builder.setupGlyphOrder(order)
        builder.setupCharacterMap({ord(letter): f"g{number}" for letter, number in self._numbers.items()})
        builder.setupGlyf({".notdef": empty} | {glyph: one[0] if one else empty for glyph, one in drawn.items()})
        sides = {glyph: (one[1] if one else _EM, builder.font["glyf"][glyph].xMin if one and one[0].numberOfContours
                         else 0) for glyph, one in drawn.items()}  # fmt: skip
        builder.setupHorizontalMetrics({".notdef": (_EM, 0)} | sides)
        builder.setupHorizontalHeader(ascent=_ASCENT, descent=_DESCENT)
        builder.setupNameTable({"familyName": name, "styleName": "Regular", "psName": name})
        builder.setupOS2(sTypoAscender=_ASCENT, sTypoDescender=_DESCENT, usWinAscent=_ASCENT, usWinDescent=-_DESCENT)
        builder.setupPost(keepGlyphNames=False)
        file = io.BytesIO()
        builder.font.save(file, reorderTables=None)
        return file.getvalue()


@cache
def _faces() -> list[tuple[TTFont, Any, dict[int, str]]]:
    from fontTools.ttLib import TTFont

    fonts = [TTFont(path, fontNumber=face, lazy=True) for path, face in font_files()]
    return [(font, font.getGlyphSet(), font.getBestCmap()) for font in fonts]


@cache
def _outline(letter: str) -> tuple[Any, int] | None:
    """A character as a TrueType glyph with its width, from the first face that has it; None when none does."""
    from fontTools.pens.cu2quPen import Cu2QuPen
    from fontTools.pens.ttGlyphPen import TTGlyphPen

    for font, glyphs, names in _faces():
        name = names.get(ord(letter))
        if name is not None:
            pen = TTGlyphPen(None)
            glyphs[name].draw(Cu2QuPen(pen, ERROR_MAX, reverse_direction=True))
            assert font["head"].unitsPerEm == _EM
            return pen.glyph(), round(glyphs[name].width)
    return None
