"""The PNG of an original, for a chat: ``invoice.typ`` draws it and knows no rule.

The pages below each other, as a pure function of the original's bytes.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from piaoma.codes.printed_symbol import invoice_symbol
from piaoma.invoice import printable
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import refuse

from .faces import font_files
from .layout import COLUMNS, HEADS, ROW_STEP, SIDES, Page, pages_of
from .ticket import SAMPLE_NOTE, SIZES, Ticket, ticket_of

if TYPE_CHECKING:
    import typst

TEMPLATE = "invoice.typ"
PNG_PPI = 112  # 926 pixels wide: a chat shows it as it is, and characters of 9 pt are 14 pixels high
PNG_PAGES_MAX = 10  # of one picture: the first nine and the last of a longer invoice
PNG_GAP_PIXELS = 16  # grey between two pages

BUILT_IN_FONT = "Libertinus Serif"  # of the typesetter: letters of European names that the others lack


@cache
def _compiler() -> typst.Compiler:
    """One compiler for a process: making it reads the fonts, which costs tens of milliseconds."""
    import typst

    root = Path(__file__).parent
    folders = sorted({str(Path(file).parent) for file, _ in font_files()} | {str(root / "fonts")})
    return typst.Compiler(root=str(root), font_paths=folders, ignore_system_fonts=True)


def picture(original: bytes) -> bytes:
    """One PNG with the pages of an original below each other.

    It shows ``PNG_PAGES_MAX`` pages at most: of a longer invoice all but the last of these are its first pages, and the
    last one is its last, with the totals; each page says which it is.

    Raises ``Refused`` as ``original_reader.read``, and DOCUMENT-GLYPH-MISSING when the fonts lack a character.
    """
    invoice = read(original)
    ticket = ticket_of(invoice)
    _need_glyphs(ticket)
    pages = pages_of(ticket)
    if len(pages) > PNG_PAGES_MAX:
        pages = [*pages[: PNG_PAGES_MAX - 1], pages[-1]]
    made: Any = _compiler().compile(_source(_data(invoice, ticket, pages)), format="png", ppi=PNG_PPI)
    return _below_each_other(made) if isinstance(made, list) else bytes(made)


def _source(data: dict[str, object]) -> bytes:
    """What is compiled: one call of the template, with text as a literal, which is data and never markup.

    The compiler keeps what it has laid out as long as its inputs are the same. ``sys.inputs`` would be other ones for
    each invoice and make it forget every label; an argument makes it forget what the argument changes.
    """
    given = msgspec.json.encode(data).decode()
    for sign, escaped in (("\\", "\\\\"), ('"', '\\"')):  # JSON has no line break of its own
        given = given.replace(sign, escaped)
    return f'#import "/{TEMPLATE}": draw\n#draw(json(bytes("{given}")))'.encode()


def _need_glyphs(ticket: Ticket) -> None:
    """A picture would show an empty box."""
    lines = (text for line in ticket.lines for text in (line.name, line.spec, line.unit))
    for text in (ticket.buyer.name, ticket.seller.name, ticket.drawer, ticket.remark, *lines):
        found = printable.refused().search(text.replace("<", "").replace(">", ""))
        if found:
            raise refuse("DOCUMENT-GLYPH-MISSING", have=found.group())


def _below_each_other(pictures: list[bytes]) -> bytes:
    from PIL import Image

    pages = [Image.open(io.BytesIO(picture)).convert("RGB") for picture in pictures]
    height = sum(page.height for page in pages) + PNG_GAP_PIXELS * (len(pages) - 1)
    whole = Image.new("RGB", (max(page.width for page in pages), height), (200, 200, 200))
    top = 0
    for page in pages:
        whole.paste(page, (0, top))
        top += page.height + PNG_GAP_PIXELS
    file = io.BytesIO()
    whole.save(file, "PNG")
    return file.getvalue()


def _data(invoice: IssuedInvoice, ticket: Ticket, pages: list[Page]) -> dict[str, object]:
    """What the template draws: strings and places, nothing to work out."""
    return {
        "title": ticket.title,
        "number": ticket.number,
        "date": ticket.issued_on,
        "mark": ticket.mark,
        "note": SAMPLE_NOTE,
        "qr": invoice_symbol(invoice).svg_bare,
        "heads": [(x, width, side, head) for (x, width), side, head in zip(COLUMNS, SIDES, HEADS, strict=True)],
        "pages": [_drawn(page) for page in pages],
    }


def _drawn(page: Page) -> dict[str, object]:
    """A page as the template takes it: ``cells`` are left edge, top of the row, width, side, text, size."""
    drawn: dict[str, object] = {
        name: getattr(page, name) for name in ("height", "number", "foot", "top", "parties", "totals", "remark")
    }
    rows = [(page.top + 4.4 + place * ROW_STEP, list(enumerate(row))) for place, row in enumerate(page.rows or [])]
    if page.totals:
        rows.append((92.2 + page.totals.down, [(5, page.totals.amount), (7, page.totals.tax)]))
    cells = [
        (*(COLUMNS[column][0], top), COLUMNS[column][1], SIDES[column], *_sized(cell))
        for top, row in rows
        for column, cell in row
        if cell
    ]
    return drawn | {"cells": cells, "table": page.rows is not None}


def _sized(cell: str | tuple[str, float]) -> tuple[str, float]:
    return (cell, SIZES[0]) if isinstance(cell, str) else cell
