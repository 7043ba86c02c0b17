"""The content of a page (ISO 32000-1 §8, §9): texts, lines and areas, each in a marked piece.

Places come in millimetres from the top left corner and are written in points from the bottom left one. A text is set
with no kerning and no ligature, so it is as wide as its characters.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from math import cos, radians, sin

from piaoma.documents.ticket import MM_PER_POINT

from .fonts import Subset, form_font, width_of

POINTS = 1 / MM_PER_POINT  # in a millimetre
WORDS, VALUES = "F1", "F2"  # names of the fonts
RED, SLATE, WATERY, BLACK = ".502 0 0", ".239 .353 .502", ".894 .91 .933", "0 0 0"
ASCENT = 0.88  # of the base line below the top of a row, in sizes
HAIR, FRAME = 0.25, 0.5  # millimetres
_CURVE = 0.5523  # of a circle's radius: how far a curve is led along its tangent

Line = tuple[float, float, float, float]


@cache  # of the words of the form, which are few
def _set_words(text: str) -> tuple[str, float]:
    return form_font().set(text)


class Canvas:
    """A page that is being drawn. ``height`` in millimetres, ``subset`` is the font of what the invoice says."""

    def __init__(self, height: float, subset: Subset) -> None:
        self._height, self._subset = height, subset
        self._out: list[str] = []
        self._font = self._colour = ""
        self._marks = 0

    @property
    def content(self) -> bytes:
        return "".join(self._out).encode("ascii")

    def begin(self, tag: str) -> int:
        """Begin a piece that has a tag; its number on this page."""
        self._out.append(f"/{tag}<</MCID {self._marks}>>BDC\n")
        self._marks += 1
        return self._marks - 1

    def begin_artifact(self, entries: str = "") -> None:
        """Begin a piece that is not read aloud. ``entries`` say more about it."""
        self._out.append(f"/Artifact<<{entries}>>BDC\n" if entries else "/Artifact BMC\n")

    def end(self) -> None:
        """End a piece."""
        self._out.append("EMC\n")

    def words(
        self, x: float, y: float, text: str, size: float = 9.0, colour: str = RED, align: str = "left",
        width: float = 0.0,
    ) -> float:  # fmt: skip
        """Words of the form, their top at ``y``, aligned in ``width``; where they end."""
        codes, em = _set_words(text)
        wide = em * size * MM_PER_POINT
        x = _left(x, align, width, wide)
        self._show(x, y + ASCENT * size * MM_PER_POINT, codes, WORDS, size, colour)
        return x + wide

    def downwards(self, x: float, y: float, text: str, size: float, step: float) -> None:
        """Words of the form, one sign below the other."""
        for place, sign in enumerate(text):
            self.words(x, y + place * step, sign, size)

    def value(
        self, x: float, base: float, text: str, size: float = 9.0, align: str = "left", width: float = 0.0, *,
        mono: bool = False,
    ) -> None:  # fmt: skip
        """What an invoice says, on a base line."""
        if text:
            codes = self._subset.set(text, mono=mono)
            if align != "left":
                x = _left(x, align, width, width_of(text) * size * MM_PER_POINT)
            self._show(x, base, codes, VALUES, size, BLACK)

    def slanted(self, x: float, y: float, text: str, size: float, degrees: float, colour: str) -> None:
        """Words of the form that rise, their middle at (x, y)."""
        codes, em = _set_words(text)
        across, up = cos(radians(degrees)), sin(radians(degrees))
        half, below = em * size / 2, size * (ASCENT - 0.5)
        left = x * POINTS - half * across + below * up
        base = (self._height - y) * POINTS - half * up - below * across
        self._choose(WORDS, size, colour)
        self._out.append(
            f"BT {across:.4f} {up:.4f} {-up:.4f} {across:.4f} {left:.2f} {base:.2f} Tm<{codes}>Tj ET\n"
        )

    def rules(self, lines: Sequence[Line]) -> None:
        """Thin lines of the form."""
        height = self._height
        path = [
            f"{x1 * POINTS:.2f} {(height - y1) * POINTS:.2f} m {x2 * POINTS:.2f} {(height - y2) * POINTS:.2f} l\n"
            for x1, y1, x2, y2 in lines
        ]
        self._out.append(f"{RED} RG {HAIR * POINTS:.3f} w\n{''.join(path)}S\n")

    def stamp(self, x: float, y: float, width: float, height: float, radius: float) -> None:
        """A dashed frame with round corners."""
        left, right, r = x * POINTS, (x + width) * POINTS, radius * POINTS
        top, bottom = (self._height - y) * POINTS, (self._height - y - height) * POINTS
        k = r * (1 - _CURVE)
        steps = (
            (left + r, top, "m"),
            (right - r, top, "l"), (right - k, top, right, top - k, right, top - r, "c"),
            (right, bottom + r, "l"), (right, bottom + k, right - k, bottom, right - r, bottom, "c"),
            (left + r, bottom, "l"), (left + k, bottom, left, bottom + k, left, bottom + r, "c"),
            (left, top - r, "l"), (left, top - k, left + k, top, left + r, top, "c"),
        )  # fmt: skip
        path = " ".join(one if isinstance(one, str) else f"{one:.2f}" for step in steps for one in step)
        self._out.append(f"q {SLATE} RG {FRAME * POINTS:.3f} w[3 3]0 d {path} s Q\n")

    def symbol(self, x: float, y: float, side: float, modules: Sequence[bytes]) -> None:
        """A symbol as one area; modules that stand in a row are one rectangle."""
        areas = []
        for place, row in enumerate(modules):
            start = row.find(1)
            while start >= 0:
                end = row.find(0, start)
                end = len(row) if end < 0 else end
                areas.append(f"{start} {place} {end - start} 1 re\n")
                start = row.find(1, end)
        step = side / len(modules) * POINTS
        corner = f"{x * POINTS:.3f} {(self._height - y) * POINTS:.3f}"
        self._out.append(f"q {step:.4f} 0 0 {-step:.4f} {corner} cm 0 g\n{''.join(areas)}f Q\n")

    def _show(self, x: float, base: float, codes: str, font: str, size: float, colour: str) -> None:
        self._choose(font, size, colour)
        self._out.append(f"BT {x * POINTS:.2f} {(self._height - base) * POINTS:.2f} Td<{codes}>Tj ET\n")

    def _choose(self, font: str, size: float, colour: str) -> None:
        if colour != self._colour:
            self._out.append(f"{colour} rg\n")
            self._colour = colour
        chosen = f"/{font} {size:g} Tf\n"
        if chosen != self._font:
            self._out.append(chosen)
            self._font = chosen


def _left(x: float, align: str, width: float, wide: float) -> float:
    if align == "left":
        return x
    return x + (width - wide) / (2 if align == "center" else 1)
