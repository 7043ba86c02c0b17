"""The HTML view (网页预览): one page that needs nothing else, for looking at and for screen readers.

A pure function of the original, as the other views. No script, nothing from elsewhere; the one style is named by its
hash, so that whatever a name holds could not bring another. Browsers lay it out: no text is cut, long invoices go on.
"""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from pathlib import Path

import jinja2

from piaoma.codes.printed_symbol import invoice_symbol
from piaoma.invoice.original_reader import read

from .ticket import TicketLine, ticket_of

COLUMNS = (
    ("项目名称", "name"), ("规格型号", "text"), ("单位", "mid"), ("数量", "sum"), ("单价", "sum"), ("金额", "sum"),
    ("税率/征收率", "mid"), ("税额", "sum"),
)  # fmt: skip


@cache
def _style() -> tuple[str, str]:
    """The style, and the source that the page's policy allows."""
    style = Path(__file__).with_name("invoice.css").read_text(encoding="utf-8").replace("\n", "")
    return style, f"sha256-{base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()}"


def policy() -> str:
    """The Content-Security-Policy under which the page may be served: as in the page, and no more."""
    return (
        f"default-src 'none'; style-src '{_style()[1]}'; base-uri 'none'; form-action 'none'; frame-ancestors 'none';"
        " sandbox"
    )


@cache
def _template() -> jinja2.Template:
    text = Path(__file__).with_name("invoice.html").read_text(encoding="utf-8")
    return jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined).from_string(text)


def html_view(original: bytes) -> bytes:
    """The page of an original. Raises ``Refused`` as ``original_reader.read``."""
    invoice = read(original)
    style, allowed = _style()
    page = _template().render(
        ticket=ticket_of(invoice),
        columns=COLUMNS,
        cells=_cells,
        symbol=invoice_symbol(invoice).svg_bare,
        style=style,
        style_hash=allowed,
    )
    return page.encode()


def _cells(line: TicketLine) -> list[tuple[str, str, str]]:
    """The cells of a row: head, side, value."""
    values = (line.name, line.spec, line.unit, line.quantity, line.unit_price, line.amount, line.rate, line.tax)
    return [(*column, value) for column, value in zip(COLUMNS, values, strict=True)]
