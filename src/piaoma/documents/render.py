"""Rendering an original as PDF, PNG or OFD: a pure function of its bytes, the same bytes each time.

``layout`` says what stands where; ``invoice.typ`` draws it and knows no rule. Runs in worker processes.
"""

from __future__ import annotations

import io
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import noto_cjk_sans_otc
import pylopdf_fonts_zh_cn
import segno

from piaoma.codes.printed import invoice_text
from piaoma.codes.symbol import Symbol
from piaoma.invoice import printable
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import refuse

from . import ofd
from .layout import COLUMNS, Page, pages_of
from .ticket import Ticket, ticket_of

if TYPE_CHECKING:
    import typst

VIEW_VERSION = "v2"
PNG_PPI = 200
PNG_PAGES_MAX = 10  # of one picture: the first nine and the last of a longer invoice
PNG_GAP_PIXELS = 16  # grey between two pages

BUILT_IN_FONT = "Libertinus Serif"  # of the typesetter: letters of European names that the others lack


def font_files() -> list[tuple[str, int]]:
    """Files and faces in the order in which ``invoice.typ`` asks them for a character."""
    return [
        (str(pylopdf_fonts_zh_cn.serif_path()), 0),
        (str(pylopdf_fonts_zh_cn.sans_path()), 0),
        (str(noto_cjk_sans_otc.FONT_PATH), 2),  # the collection's Noto Sans CJK SC: rare and Korean characters
    ]


@cache
def _compiler() -> typst.Compiler:
    """One compiler for a process: making it reads the fonts, which costs tens of milliseconds."""
    import typst

    template = Path(__file__).with_name("invoice.typ")
    folders = sorted({str(Path(file).parent) for file, _ in font_files()})
    return typst.Compiler(input=str(template), root=str(template.parent), font_paths=folders, ignore_system_fonts=True)


def render(original: bytes, kind: str, signed_value: bytes = b"") -> bytes:
    """The PDF/A-3b of an original, one PNG with its pages below each other, or the OFD with the seal that was made.

    A PNG shows ``PNG_PAGES_MAX`` pages at most: of a longer invoice all but the last of these are its first pages, and
    the last one is its last, with the totals; each page says which it is.

    Raises ``Refused`` as ``original_reader.read``, and DOCUMENT-GLYPH-MISSING when the fonts lack a character.
    """
    if kind == "ofd":
        return ofd.write(original, signed_value)
    import typst

    invoice = read(original)
    ticket = ticket_of(invoice)
    pages = pages_of(ticket)
    if kind == "png":
        _need_glyphs(ticket)
        if len(pages) > PNG_PAGES_MAX:
            pages = [*pages[: PNG_PAGES_MAX - 1], pages[-1]]
    inputs = {"data": msgspec.json.encode(_data(invoice, ticket, pages)).decode(), "xml": original.decode()}
    try:
        if kind == "png":
            made: Any = _compiler().compile(format="png", ppi=PNG_PPI, sys_inputs=inputs)
            return _below_each_other(made) if isinstance(made, list) else bytes(made)
        made = _compiler().compile(
            format="pdf",
            sys_inputs=inputs,
            pdf_standards=["a-3b"],
            timestamp=int((invoice.signed_at or invoice.requested_at).timestamp()),
        )
        return bytes(made)
    except typst.TypstError as error:
        if "could not be displayed" in error.message or "glyph" in error.message:
            raise refuse("DOCUMENT-GLYPH-MISSING", have=_named_character(error.message)) from None
        raise


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
    return {
        "title": ticket.title,
        "number": ticket.number,
        "date": ticket.issued_on,
        "moment": [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second],
        "seller": ticket.seller.name,
        "total": ticket.total,
        "mark": ticket.mark,
        "qr": _qr(invoice),
        "columns": COLUMNS,
        "pages": pages,
    }


def _qr(invoice: IssuedInvoice) -> str:
    """The printed symbol: level M, version 4 where the text fits it (einvoice.md §2)."""
    text = invoice_text(invoice)
    return Symbol(text, segno.make_qr(text, error="m", boost_error=False)).svg_bare
