"""The content of a page (ISO 32000-1 §8, §9): texts, lines and areas, each in a marked piece.

Places come in millimetres from the top left corner and are written in points from the bottom left one. A text is set
with no kerning and no ligature, so it is as wide as its characters.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache, lru_cache
from itertools import compress
from math import cos, radians, sin

from piaoma.documents.ticket import MM_PER_POINT

from .fonts import Subset, form_font, width_of

POINTS = 1 / MM_PER_POINT  # in a millimetre
WORDS, VALUES = "F1", "F2"  # names of the fonts
RED, SLATE, WATERY, BLACK = ".502 0 0", ".239 .353 .502", ".894 .91 .933", "0 0 0"
ASCENT = 0.88  # of the base line below the top of a row, in sizes
KEPT_MAX = 4_096  # pieces of the form, of each kind
HAIR, FRAME = 0.25, 0.5  # millimetres
_CURVE = 0.5523  # of a circle's radius: how far a curve is led along its tangent

Line = tuple[float, float, float, float]


class Canvas:
    """A page that is being drawn. ``height`` in millimetres, ``subset`` is the font of what the invoice says."""

    def __init__(self, height: float, subset: Subset) -> None:
        self._height, self._subset = height, subset
        self._out: list[str] = []
        self._colour, self._font = "", ("", 0.0)

    @property
    def content(self) -> bytes:
        return "".join(self._out).encode("ascii")

    def begin(self, tag: str, number: int) -> None:
        """Begin the piece with that tag and number."""
        self._out.append(f"/{tag}<</MCID {number}>>BDC\n")

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
        shown, end = _words(self._height, x, y, text, size, align, width)
        self._choose(WORDS, size, colour)
        self._out.append(shown)
        return end

    def downwards(self, x: float, y: float, text: str, size: float, step: float) -> None:
        """Words of the form, one sign below the other."""
        self._choose(WORDS, size, RED)
        self._out.append(_downwards(self._height, x, y, text, size, step))

    def value(
        self, x: float, base: float, text: str, size: float = 9.0, align: str = "left", width: float = 0.0, *,
        mono: bool = False,
    ) -> None:  # fmt: skip
        """What an invoice says, on a base line."""
        if text:
            codes = self._subset.set(text, mono=mono)
            if align != "left":
                x = _left(x, align, width, width_of(text) * size * MM_PER_POINT)
            self._choose(VALUES, size, BLACK)
            self._out.append(_shown(x, self._height - base, codes))

    def slanted(self, x: float, y: float, text: str, size: float, degrees: float, colour: str) -> None:
        """Words of the form that rise, their middle at (x, y)."""
        self._choose(WORDS, size, colour)
        self._out.append(_slanted(x, self._height - y, text, size, degrees))

    def rules(self, lines: tuple[Line, ...]) -> None:
        """Thin lines of the form."""
        self._out.append(_rules(self._height, lines))

    def stamp(self, x: float, y: float, width: float, height: float, radius: float) -> None:
        """A dashed frame with round corners."""
        self._out.append(_stamp(x, self._height - y, width, height, radius))

    def symbol(self, x: float, y: float, side: float, modules: Sequence[bytes]) -> None:
        """A symbol as one area; modules that stand in a row are one rectangle."""
        areas, changes = _areas(len(modules[0]) + 1), _changes(modules)
        path = "".join(map(areas.__getitem__, zip(changes, changes, strict=True)))
        step = side / len(modules) * POINTS
        corner = f"{x * POINTS:.3f} {(self._height - y) * POINTS:.3f}"
        self._out.append(f"q {step:.4f} 0 0 {-step:.4f} {corner} cm 0 g\n{path}f Q\n")

    def _choose(self, font: str, size: float, colour: str) -> None:
        """Colour and font of what is shown next."""
        if colour != self._colour:
            self._out.append(f"{colour} rg\n")
            self._colour = colour
        if (font, size) != self._font:
            self._out.append(f"/{font} {size:g} Tf\n")
            self._font = (font, size)


# What the form itself draws is the same on most pages: kept as it is written. Places are from the bottom here.


@lru_cache(KEPT_MAX)
def _words(
    height: float, x: float, y: float, text: str, size: float, align: str, width: float
) -> tuple[str, float]:  # fmt: skip
    """Words as they are shown, and where they end."""
    codes, em = form_font().set(text)
    wide = em * size * MM_PER_POINT
    x = _left(x, align, width, wide)
    return _shown(x, height - y - ASCENT * size * MM_PER_POINT, codes), x + wide


@lru_cache(KEPT_MAX)
def _downwards(height: float, x: float, y: float, text: str, size: float, step: float) -> str:
    return "".join(_words(height, x, y + place * step, sign, size, "left", 0.0)[0] for place, sign in enumerate(text))


@lru_cache(KEPT_MAX)
def _slanted(x: float, y: float, text: str, size: float, degrees: float) -> str:
    codes, em = form_font().set(text)
    across, up = cos(radians(degrees)), sin(radians(degrees))
    half, below = em * size / 2, size * (ASCENT - 0.5)
    left, base = x * POINTS - half * across + below * up, y * POINTS - half * up - below * across
    return f"BT {across:.4f} {up:.4f} {-up:.4f} {across:.4f} {left:.2f} {base:.2f} Tm<{codes}>Tj ET\n"


@lru_cache(KEPT_MAX)
def _rules(height: float, lines: tuple[Line, ...]) -> str:
    path = (
        f"{x1 * POINTS:.2f} {(height - y1) * POINTS:.2f} m {x2 * POINTS:.2f} {(height - y2) * POINTS:.2f} l\n"
        for x1, y1, x2, y2 in lines
    )
    return f"{RED} RG {HAIR * POINTS:.3f} w\n{''.join(path)}S\n"


@lru_cache(KEPT_MAX)
def _stamp(x: float, y: float, width: float, height: float, radius: float) -> str:
    left, right, r = x * POINTS, (x + width) * POINTS, radius * POINTS
    top, bottom = y * POINTS, (y - height) * POINTS
    k = r * (1 - _CURVE)
    steps = (
        (left + r, top, "m"),
        (right - r, top, "l"), (right - k, top, right, top - k, right, top - r, "c"),
        (right, bottom + r, "l"), (right, bottom + k, right - k, bottom, right - r, bottom, "c"),
        (left + r, bottom, "l"), (left + k, bottom, left, bottom + k, left, bottom + r, "c"),
        (left, top - r, "l"), (left, top - k, left + k, top, left + r, top, "c"),
    )  # fmt: skip
    path = " ".join(one if isinstance(one, str) else f"{one:.2f}" for step in steps for one in step)
    return f"q {SLATE} RG {FRAME * POINTS:.3f} w[3 3]0 d {path} s Q\n"


def _shown(x: float, base: float, codes: str) -> str:
    return f"BT {x * POINTS:.2f} {base * POINTS:.2f} Td<{codes}>Tj ET\n"


def _changes(modules: Sequence[bytes]) -> Iterator[int]:
    """Where a run of dark modules begins, and where it ends, in turn: all rows together, each with a light one behind
    it. A number with a byte for each is unlike itself a byte further where that changes."""
    whole = b"\0".join((*modules, b""))
    number = int.from_bytes(whole, "big")
    return compress(range(len(whole)), (number ^ number >> 8).to_bytes(len(whole), "big"))


class _Areas(dict[tuple[int, int], str]):
    """Rectangles by where a run of dark modules begins and ends: the same few thousand in all symbols of a size."""

    def __init__(self, step: int) -> None:
        self._step = step

    def __missing__(self, span: tuple[int, int]) -> str:
        y, x = divmod(span[0], self._step)
        self[span] = area = f"{x} {y} {span[1] - span[0]} 1 re\n"
        return area


@cache
def _areas(step: int) -> _Areas:
    return _Areas(step)


def _left(x: float, align: str, width: float, wide: float) -> float:
    if align == "left":
        return x
    return x + (width - wide) / (2 if align == "center" else 1)
