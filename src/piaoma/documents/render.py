"""Rendering an original as PDF or PNG: a pure function of its bytes, the same bytes each time.

The layout is einvoice.md §7, in millimetres; ``invoice.typ`` draws it and knows no rule. What does not fit one page
goes on: first page 15 rows, further ones 20, the last 12 above the totals. Runs in worker processes.
"""

from __future__ import annotations

import json
import resource
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pylopdf_fonts_zh_cn
import segno

from piaoma.codes.printed import invoice_text
from piaoma.codes.symbol import Symbol
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import refuse

from .ticket import Ticket, TicketLine, ticket_of, wrapped

if TYPE_CHECKING:
    import typst

VIEW_VERSION = "v1"
MEMORY_BYTES_MAX = 1_500 * 1024 * 1024  # of a worker
PNG_PPI = 200

# Rows of 4.5 mm that a page takes.
ROWS_ALONE, ROWS_FIRST, ROWS_FURTHER, ROWS_LAST = 8, 15, 20, 12
NAME_EM, SPEC_EM, UNIT_EM, FIGURE_EM = 11.2, 7.2, 3.4, 7.4  # widths of columns at 9 pt


def start_worker() -> None:
    """Bound a worker process before it renders anything."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES_MAX, MEMORY_BYTES_MAX))


@cache
def _compiler() -> typst.Compiler:
    """One compiler for a process: making it reads the fonts, which costs tens of milliseconds."""
    import typst

    template = Path(__file__).with_name("invoice.typ")
    fonts = pylopdf_fonts_zh_cn.serif_path().parent
    return typst.Compiler(
        input=str(template), root=str(template.parent), font_paths=[str(fonts)], ignore_system_fonts=True
    )


def render(original: bytes, kind: str) -> bytes:
    """The PDF/A-3b, or the first page as PNG, of an original.

    Raises ``Refused`` as ``original_reader.read``, and DOCUMENT-GLYPH-MISSING when the fonts lack a character.
    """
    import typst

    invoice = read(original)
    inputs = {"data": json.dumps(_page_data(invoice), ensure_ascii=False), "xml": original.decode()}
    try:
        if kind == "png":
            pages: Any = _compiler().compile(format="png", ppi=PNG_PPI, sys_inputs=inputs)
            return bytes(pages[0] if isinstance(pages, list) else pages)
        made: Any = _compiler().compile(
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


def _page_data(invoice: IssuedInvoice) -> dict[str, object]:
    """What the template draws: strings and rows, nothing to work out."""
    ticket = ticket_of(invoice)
    moment = invoice.signed_at or invoice.requested_at
    return {
        "title": ticket.title,
        "number": ticket.number,
        "date": ticket.issued_on,
        "moment": [moment.year, moment.month, moment.day, moment.hour, moment.minute, moment.second],
        "buyer": [ticket.buyer.name, ticket.buyer.taxpayer_id],
        "seller": [ticket.seller.name, ticket.seller.taxpayer_id],
        "pages": _pages(ticket),
        "amount": ticket.amount,
        "tax": ticket.tax,
        "words": ticket.words,
        "total": ticket.total,
        "remark": ticket.remark,
        "drawer": ticket.drawer,
        "mark": ticket.mark,
        "qr": _qr(invoice),
    }


def _qr(invoice: IssuedInvoice) -> str:
    """The printed symbol: level M, version 4 where the text fits it (einvoice.md §2)."""
    text = invoice_text(invoice)
    return Symbol(text, segno.make_qr(text, error="m", boost_error=False)).svg_bare


def _rows(line: TicketLine) -> list[list[str]]:
    """A line as printed rows: long names, specifications and figures go on in the row below."""
    columns = [
        wrapped(line.name, NAME_EM),
        wrapped(line.spec, SPEC_EM),
        wrapped(line.unit, UNIT_EM),
        wrapped(line.quantity, FIGURE_EM),
        wrapped(line.unit_price, FIGURE_EM),
        [line.amount],
        [line.rate],
        [line.tax],
    ]
    depth = max(len(column) for column in columns)
    return [[column[row] if row < len(column) else "" for column in columns] for row in range(depth)]


def _pages(ticket: Ticket) -> list[list[list[str]]]:
    """The rows of each page."""
    rows = [row for line in ticket.lines for row in _rows(line)]
    if len(rows) <= ROWS_ALONE:
        return [rows]
    pages = [rows[:ROWS_FIRST]]
    rest = rows[ROWS_FIRST:]
    while len(rest) > ROWS_LAST:
        # The last page always has a row, so that the totals never stand alone.
        take = min(ROWS_FURTHER, len(rest) - 1)
        pages.append(rest[:take])
        rest = rest[take:]
    pages.append(rest)
    return pages
