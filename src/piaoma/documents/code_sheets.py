"""Sheets with codes (打印样张): receipts of 58 and 80 mm, A6 cards, a folded tent, A4 with six cards, a picture.

A pure function of what is on them, the same bytes each time. Runs in worker processes, as ``render`` does.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from piaoma.codes.symbol import QUIET_MODULES
from piaoma.invoice.refusal import refuse

from .faces import font_files

if TYPE_CHECKING:
    import typst

SHEET_SIZES = ("58", "80", "a6", "tent", "a4")
# Widest symbol, quiet zone included, that leaves room for the words.
WIDTH_MM_MAX = {"58": 42.0, "80": 58.0, "a6": 72.0, "tent": 60.0, "a4": 51.0, "picture": 70.0}
DOT_MM = 25.4 / 203  # of a receipt printer
CARDS_MAX = 60
PPI_MIN, PPI_MAX = 100, 600


class Card(msgspec.Struct, frozen=True):
    """One code and the words around it. ``svg`` has the quiet zone; ``modules`` counts a side without it."""

    svg: str
    modules: int
    shop: str
    steps: str
    short: str
    promise: str
    place: str = ""
    total: str = ""
    item: str = ""
    until: str = ""
    mark: str = ""
    number_label: str = ""
    number: str = ""


def width_mm(modules: int, size: str) -> float:
    """How wide a symbol is printed: as wide as fits, its modules whole dots of 203 dpi."""
    side = modules + 2 * QUIET_MODULES
    dots = int(WIDTH_MM_MAX[size] / (side * DOT_MM))
    return round(side * dots * DOT_MM, 4)


def render_sheet(cards: tuple[Card, ...], size: str, kind: str, ppi: int = 300) -> bytes:
    """The sheet as ``pdf``, or its first page as ``png``.

    Raises ``Refused`` DOCUMENT-KIND, DOCUMENT-GLYPH-MISSING.
    """
    if size not in WIDTH_MM_MAX or kind not in ("pdf", "png") or not 0 < len(cards) <= CARDS_MAX:
        raise refuse("DOCUMENT-KIND", have=f"{size} {kind}"[:10])
    assert PPI_MIN <= ppi <= PPI_MAX, "the caller chooses among known printers"
    import typst

    drawn = [{**msgspec.structs.asdict(card), "width": width_mm(card.modules, size)} for card in cards]
    data = {"title": cards[0].shop, "size": size, "cards": drawn}
    made: Any
    inputs = {"data": msgspec.json.encode(data).decode()}
    try:
        if kind == "png":
            made = _compiler().compile(format="png", ppi=ppi, sys_inputs=inputs)
            return bytes(made[0] if isinstance(made, list) else made)
        made = _compiler().compile(format="pdf", sys_inputs=inputs, timestamp=0)
        return bytes(made)
    except typst.TypstError as error:
        if "glyph" in error.message:
            raise refuse("DOCUMENT-GLYPH-MISSING", have="?") from None
        raise


@cache
def _compiler() -> typst.Compiler:
    import typst

    template = Path(__file__).with_name("code_sheets.typ")
    folders = sorted({str(Path(file).parent) for file, _ in font_files()})
    return typst.Compiler(input=str(template), root=str(template.parent), font_paths=folders, ignore_system_fonts=True)
