"""Rendering an original as PDF, PNG, OFD or HTML: a pure function of its bytes, the same bytes each time.

``layout`` says what stands where; ``invoice.typ`` draws it and knows no rule. Runs in worker processes.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from piaoma.codes.printed_symbol import invoice_symbol
from piaoma.invoice import printable
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import refuse

from . import ofd
from .faces import font_files
from .html_view import html_view
from .layout import COLUMNS, Cell, Page, Row, pages_of
from .ticket import SIZES, Ticket, ticket_of

if TYPE_CHECKING:
    import typst

VIEW_VERSION = "v3"
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


def render(original: bytes, kind: str, signed_value: bytes = b"") -> bytes:
    """The PDF (PDF/A-3a and PDF/UA-1) of an original, one PNG with its pages below each other, the OFD with the seal
    that was made, or a page of HTML.

    A PNG shows ``PNG_PAGES_MAX`` pages at most: of a longer invoice all but the last of these are its first pages, and
    the last one is its last, with the totals; each page says which it is.

    Raises ``Refused`` as ``original_reader.read``, and DOCUMENT-GLYPH-MISSING when the fonts lack a character.
    """
    if kind in ofd.VERSIONS:
        return ofd.write(original, signed_value, kind)
    if kind == "html":
        return html_view(original)
    import typst

    invoice = read(original)
    ticket = ticket_of(invoice)
    pages = pages_of(ticket)
    if kind == "png":
        _need_glyphs(ticket)
        if len(pages) > PNG_PAGES_MAX:
            pages = [*pages[: PNG_PAGES_MAX - 1], pages[-1]]
    source = _source(_data(invoice, ticket, pages), original)
    try:
        if kind == "png":
            made: Any = _compiler().compile(source, format="png", ppi=PNG_PPI)
            return _below_each_other(made) if isinstance(made, list) else bytes(made)
        made = _compiler().compile(
            source,
            format="pdf",
            pdf_standards=["a-3a", "ua-1"],
            timestamp=int((invoice.signed_at or invoice.requested_at).timestamp()),
        )
        return bytes(made)
    except typst.TypstError as error:
        if "could not be displayed" in error.message or "glyph" in error.message:
            raise refuse("DOCUMENT-GLYPH-MISSING", have=_named_character(error.message)) from None
        raise


def _source(data: dict[str, object], original: bytes) -> bytes:
    """What is compiled: one call of the template, with text as literals, which are data and never markup.

    The compiler keeps what it has laid out as long as its inputs are the same. ``sys.inputs`` would be other ones for
    each invoice and make it forget every label; an argument makes it forget what the argument changes.
    """
    given = _literal(msgspec.json.encode(data).decode())
    return f'#import "/{TEMPLATE}": draw\n#draw(json(bytes({given})), {_literal(original.decode())})'.encode()


def _literal(text: str) -> str:
    """A string of the typesetter's language."""
    for sign, escaped in (("\\", "\\\\"), ('"', '\\"'), ("\r", "\\r"), ("\n", "\\n")):
        text = text.replace(sign, escaped)
    return f'"{text}"'


def _named_character(message: str) -> str:
    return "".join(letter for letter in message if ord(letter) > 0x2E7F)[:4] or "?"


def _need_glyphs(ticket: Ticket) -> None:
    """For pictures, which would show an empty box: the typesetter says that a glyph is missing for PDF/A only."""
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
    moment = invoice.signed_at or invoice.requested_at
    tracks, insets = _TRACKS
    return {
        "title": ticket.title,
        "number": ticket.number,
        "date": ticket.issued_on,
        "moment": [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second],
        "seller": ticket.seller.name,
        "total": ticket.total,
        "mark": ticket.mark,
        "qr": invoice_symbol(invoice).svg_bare,
        "qr_says": f"二维码：{ticket.number}，{ticket.total}",
        "columns": COLUMNS,
        "tracks": tracks,
        "insets": insets,
        "pages": [_drawn(page) for page in pages],
    }


def _drawn(page: Page) -> dict[str, object]:
    """A page as the template takes it: rows that belong to one line of the invoice are one item, so that it is read
    aloud as one, a cell after the other."""
    drawn: dict[str, object] = {
        name: getattr(page, name) for name in ("height", "number", "foot", "top", "parties", "totals", "remark")
    }
    items = None
    if page.rows is not None and page.lines is not None:
        rows = zip(page.lines, page.rows, strict=True)
        items = [_item([row for _, row in item]) for _, item in groupby(rows, lambda row: row[0])]
    sums = page.totals and [_cell([page.totals.amount]), _cell([page.totals.tax])]
    return drawn | {"items": items, "sums": sums}


def _item(rows: list[Row]) -> tuple[int, list[tuple[list[str], float]]]:
    """How many rows an item takes, and each of its cells as texts below each other and their size."""
    return len(rows), [_cell([cell for cell in column if cell]) for column in zip(*rows, strict=True)]


def _cell(cells: Sequence[Cell]) -> tuple[list[str], float]:
    texts = [cell if isinstance(cell, str) else cell[0] for cell in cells]
    size = SIZES[0] if not cells or isinstance(cells[0], str) else cells[0][1]
    return texts, size


def _tracks() -> tuple[list[float], list[tuple[float, float]]]:
    """Columns as the template's table takes them: from each left edge to the next, and what is added on either side.

    A cell is drawn with more room than it has on its open sides, so that nothing in it can wrap.
    """
    ends = [*(left for left, _ in COLUMNS[1:]), sum(COLUMNS[-1])]
    widths = [round(end - left, 3) for (left, _), end in zip(COLUMNS, ends, strict=True)]
    gaps = [round(track - width, 3) for track, (_, width) in zip(widths, COLUMNS, strict=True)]
    return widths, [
        (0 if side == "left" else -ROOM, gap - (0 if side == "right" else ROOM))
        for side, gap in zip(SIDES, gaps, strict=True)
    ]


SIDES = ("left", "left", "center", "right", "right", "right", "center", "right")  # as in the template
ROOM = 20.0  # millimetres
_TRACKS = _tracks()
