"""Objects of a page in OFD (GB/T 33190-2016): texts, lines, areas. Millimetres from the top left corner.

A text says where each of its characters stands, so it keeps its place whatever font a reader has. Letters and digits
are half as wide as a Chinese character, as in the fonts that are named; where that would not fit, they are as wide as
the layout measured them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import accumulate, groupby
from math import cos, radians, sin

from piaoma.documents.ticket import MM_PER_POINT
from piaoma.invoice import printable

from .fonts import Subset

SONG, KAI, MONO = 1, 2, 3  # ids of the fonts
FONTS = ((SONG, "宋体", "SimSun"), (KAI, "楷体", "KaiTi"), (MONO, "Courier New", "Courier New"))
RED, SLATE, BLACK = "128 0 0", "61 90 128", ""
# Ids of what stands in templates and annotations begin at the first of these, all others at the second: so the parts
# that many invoices share are the same bytes in each. The kinds of pages that one invoice has take 400 at most.
FIRST_SHARED_ID, FIRST_OWN_ID = 10, 1_000

ASCENT = 0.88  # of the base line below the top of a row, in sizes; as invoice.typ has it
HAIR = 0.25
_MONO_WIDTH = 0.6
_LATIN_END = 0x250
_UNTURNED = ' CTM="1 0 0 1 0 0"'


class Ids:
    """Numbers of objects: each is given once in a document."""

    def __init__(self, first: int) -> None:
        self.last = first - 1

    def next(self) -> int:
        self.last += 1
        return self.last


@lru_cache(maxsize=4096)
def number(value: float) -> str:
    """A decimal as short as it can be."""
    text = f"{value:.3f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_ESCAPES = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "\r": "&#13;", "\n": "&#10;"})


def escaped(text: str) -> str:
    """For XML, in an element or an attribute."""
    return text.translate(_ESCAPES)


class Layer:
    """What is drawn, in order. ``plain`` says what may be left out or shortened, for readers of annotations that are
    simpler than those of pages. ``subsets`` are the fonts that go with the document, by their ids."""

    def __init__(self, ids: Ids, *, plain: bool = False, subsets: Mapping[int, Subset] | None = None) -> None:
        self.ids = ids
        self._subsets = subsets or {}
        self._plain = plain
        self.objects: list[str] = []

    @property
    def xml(self) -> str:
        return "".join(self.objects)

    def text(
        self, x: float, y: float, text: str, size: float = 9.0, font: int = SONG, *, colour: str = BLACK,
        align: str = "left", width: float = 0.0, room: float = 0.0,
    ) -> list[int]:  # fmt: skip
        """A row of text whose top is at ``y``; the ids of its object. ``width`` is what it is aligned in, ``room`` how
        wide it may be at most (0: as wide as it is)."""
        if not text.strip():
            return []
        em = size * MM_PER_POINT
        steps = _steps(text, font, (room or width) / em)
        wide = sum(steps) * em
        left = x + (0 if align == "left" else (width - wide) / (2 if align == "center" else 1))
        if font in self._subsets:
            return self._pieces(self._subsets[font], left, y, text, steps, em, font, colour)
        name = self.ids.next()
        self.objects.append(
            f'<ofd:TextObject ID="{name}" Boundary="{number(left)} {number(y)} {number(wide)} {number(em * 1.1)}"'
            f' Font="{font}" Size="{number(em)}"{_UNTURNED if self._plain else ""}>{_fill(colour)}'
            f"{self._codes(text, steps, em)}</ofd:TextObject>"
        )
        return [name]

    def _pieces(
        self, subset: Subset, left: float, y: float, text: str, steps: Sequence[float], em: float, font: int,
        colour: str,
    ) -> list[int]:  # fmt: skip
        """The objects of a text in a font that goes with the document. A character beyond the BMP is one of its own
        that names its glyph, since it counts as two and readers would look for two glyphs."""
        subset.use(text)
        names, start = [], 0
        for rare, group in groupby(text, lambda letter: letter > "\uffff"):
            for piece in group if rare else ("".join(group),):
                end = start + len(piece)
                before, wide = sum(steps[:start]) * em, sum(steps[start:end]) * em
                glyph = (
                    f'<ofd:CGTransform CodePosition="0" CodeCount="2" GlyphCount="1"><ofd:Glyphs>'
                    f"{subset.number(piece)}</ofd:Glyphs></ofd:CGTransform>"
                    if rare
                    else ""
                )
                names.append(self.ids.next())
                box = f"{number(left + before)} {number(y)} {number(wide)} {number(em * 1.1)}"
                self.objects.append(
                    f'<ofd:TextObject ID="{names[-1]}" Boundary="{box}" Font="{font}" Size="{number(em)}"'
                    f"{_UNTURNED if self._plain else ''}>{_fill(colour)}{glyph}"
                    f"{_code(piece, steps[start:end], 0.0, em, plain=self._plain)}</ofd:TextObject>"
                )
                start = end
        return names

    def slanted(self, x: float, y: float, text: str, size: float, degrees: float, colour: str, alpha: int) -> None:
        """A row of text that rises from its left end at (x, y)."""
        em, turn = size * MM_PER_POINT, radians(degrees)
        if SONG in self._subsets:
            self._subsets[SONG].use(text)
        steps = _steps(text, SONG, 0)
        wide = sum(steps) * em
        high = wide * sin(turn) + em * 1.2
        a, b = number(cos(turn)), number(sin(turn))
        self.objects.append(
            f'<ofd:TextObject ID="{self.ids.next()}" Boundary="{number(x)} {number(y - high)}'
            f' {number(wide * cos(turn) + em)} {number(high + em / 2)}" Font="{SONG}" Size="{number(em)}"'
            f' Alpha="{alpha}" CTM="{a} -{b} {b} {a} 0 {number(high - em)}">{_fill(colour)}'
            f"{self._codes(text, steps, em)}</ofd:TextObject>"
        )

    def lines(
        self, lines: Sequence[tuple[float, float, float, float]], colour: str = RED, width: float = HAIR,
        dashes: str = "",
    ) -> None:  # fmt: skip
        """Straight lines, across or down. Each has its own narrow box: simple readers draw no more than that."""
        dashed = f' DashPattern="{dashes}"' if dashes else ""
        half = width / 2
        for left, top, right, bottom in lines:
            left, top, right, bottom = min(left, right), min(top, bottom), max(left, right), max(top, bottom)
            box = (left - half, top - half, right - left + width, bottom - top + width)
            path = f"M {number(half)} {number(half)} L {number(box[2] - half)} {number(box[3] - half)}"
            self.objects.append(
                f'<ofd:PathObject ID="{self.ids.next()}" Boundary="{" ".join(map(number, box))}"'
                f' LineWidth="{number(width)}"{dashed}><ofd:StrokeColor Value="{colour}"/>'
                f"<ofd:AbbreviatedData>{path}</ofd:AbbreviatedData></ofd:PathObject>"
            )

    def squares(self, x: float, y: float, side: float, modules: Sequence[bytes]) -> None:
        """A symbol of modules as one area of black squares; runs in a row are one rectangle. The path counts modules,
        which is half as long as millimetres are, and the matrix says how large one is."""
        squares = []
        for row, cells in enumerate(modules):
            below, start = row + 1, cells.find(1)
            while start >= 0:
                end = cells.find(0, start)
                end = len(cells) if end < 0 else end
                squares.append(f"M {start} {row} L {end} {row} L {end} {below} L {start} {below} C")
                start = cells.find(1, end)
        module = f"{side / len(modules):.6f}"
        self.objects.append(
            f'<ofd:PathObject ID="{self.ids.next()}" Boundary="{number(x)} {number(y)} {number(side)} {number(side)}"'
            f' CTM="{module} 0 0 {module} 0 0" Stroke="false" Fill="true"><ofd:FillColor Value="0 0 0"/>'
            f"<ofd:AbbreviatedData>{' '.join(squares)}</ofd:AbbreviatedData></ofd:PathObject>"
        )

    def _codes(self, text: str, steps: Sequence[float], em: float) -> str:
        """The text with the place of each character.

        A character beyond the BMP has a TextCode of its own: readers do not agree whether it counts once or twice.
        """
        if text.isascii() or max(text) <= "\uffff":
            return _code(text, steps, 0.0, em, plain=self._plain)
        places = [0.0, *accumulate(steps)]
        codes, start = [], 0
        for rare, group in groupby(text, lambda letter: letter > "\uffff"):
            for piece in group if rare else ("".join(group),):
                end = start + len(piece)
                codes.append(_code(piece, steps[start:end], places[start] * em, em, plain=self._plain))
                start = end
        return "".join(codes)


def _fill(colour: str) -> str:
    return f'<ofd:FillColor Value="{colour}"/>' if colour else ""


def _steps(text: str, font: int, room: float) -> list[float]:
    """The width of each character in em."""
    if font == MONO:
        return [_MONO_WIDTH if ord(letter) < _LATIN_END else 1.0 for letter in text]
    measured = printable.advances()
    steps = [
        (0.5 if ord(letter) < _LATIN_END else measured[letter] / 1000) if letter in measured else 1.0 for letter in text
    ]
    if room and sum(steps) > room:
        return [measured.get(letter, 1000) / 1000 for letter in text]
    return steps


def _code(text: str, steps: Sequence[float], x: float, em: float, *, plain: bool) -> str:
    deltas = []
    for step, group in groupby(steps[:-1]):
        count, delta = len(list(group)), number(step * em)
        deltas += [delta] * count if plain or count == 1 else [f"g {count} {delta}"]
    moved = f' DeltaX="{" ".join(deltas)}"' if deltas else ""
    return f'<ofd:TextCode X="{number(x)}" Y="{number(em * ASCENT)}"{moved}>{escaped(text)}</ofd:TextCode>'
