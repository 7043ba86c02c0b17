"""The usual Python ways to the same papers, measured beside ours in one run; each only when it is installed.

They give less: none of them tags, attaches the original or claims PDF/A here, and the OFD of easyofd is our own PDF
taken apart. That is to their advantage.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from contextlib import chdir, redirect_stdout, suppress
from importlib.util import find_spec
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from piaoma.codes.printed_symbol import invoice_symbol
from piaoma.documents.layout import COLUMNS, HEADS, Cell, pages_of
from piaoma.documents.ticket import SAMPLE_NOTE, SIZES, Ticket, ticket_of
from piaoma.invoice.original_reader import read

HOW = "pip install -r requirements-bench.lock"
PACKAGES = ("reportlab", "fpdf", "weasyprint", "easyofd")
_MM = 72 / 25.4
# The lines of the form, and the frame of the sandbox's mark.
_RULES = (
    (65.5, 18, 138.5, 18), (65.5, 19, 138.5, 19),
    *((4.5, y, 205.5, y) for y in (30, 52, 96, 104, 124)), *((x, 30, x, 124) for x in (4.5, 205.5)),
    *((x, 30, x, 52) for x in (10.5, 105, 111.2)), (56.5, 96, 56.5, 104), (10.7, 104, 10.7, 124),
    (86, 20.4, 124, 20.4), (86, 28.8, 124, 28.8), (86, 20.4, 86, 28.8), (124, 20.4, 124, 28.8),
)  # fmt: skip

String = tuple[float, float, float, str]  # millimetres from the top left corner, points, text


def alternatives(pdf: bytes) -> dict[str, Callable[[bytes], object]]:
    """What is installed, as functions of an original; ``pdf`` is what easyofd takes apart."""
    ways: dict[str, Callable[[], Callable[[bytes], object]]] = {
        "reportlab": _reportlab,
        "fpdf": _fpdf,
        "weasyprint": _weasyprint,
        "easyofd": lambda: _easyofd(pdf),
    }
    found = {}
    for name, way in ways.items():
        if find_spec(name) is not None:
            with suppress(ImportError, OSError):  # WeasyPrint needs libraries of the system
                found[name] = way()
    return found


def _reportlab() -> Callable[[bytes], object]:
    """A canvas with an embedded subset of a TrueType font, which is the only kind it takes."""
    from reportlab.pdfbase import pdfmetrics
    from reportlab.pdfbase.ttfonts import TTFont
    from reportlab.pdfgen.canvas import Canvas

    pdfmetrics.registerFont(TTFont("cjk", _font()))

    def draw(original: bytes) -> bytes:
        invoice = read(original)
        ticket = ticket_of(invoice)
        symbol = invoice_symbol(invoice)
        file = io.BytesIO()
        canvas: Any = Canvas(file, pagesize=(210 * _MM, 140 * _MM), pageCompression=1)
        for x, y, size, text in _strings(ticket):
            canvas.setFont("cjk", size)
            canvas.drawString(x * _MM, (140 - y) * _MM - size * 0.88, text)
        path = canvas.beginPath()
        step = 20 * _MM / symbol.size
        for row, cells in enumerate(symbol.modules):
            for column, dark in enumerate(cells):
                if dark:
                    path.rect(6.5 * _MM + column * step, (140 - 6) * _MM - (row + 1) * step, step, step)
        canvas.drawPath(path, stroke=0, fill=1)
        for x1, y1, x2, y2 in _RULES:
            canvas.line(x1 * _MM, (140 - y1) * _MM, x2 * _MM, (140 - y2) * _MM)
        canvas.save()
        return file.getvalue()

    return draw


def _fpdf() -> Callable[[bytes], object]:
    """fpdf2, with the same font; it reads the font for each document."""
    from fpdf import FPDF

    def draw(original: bytes) -> bytes:
        invoice = read(original)
        paper: Any = FPDF(unit="mm", format=(140, 210), orientation="L")
        paper.add_font("cjk", fname=_font())
        paper.add_page()
        for x, y, size, text in _strings(ticket_of(invoice)):
            paper.set_font("cjk", size=size)
            paper.text(x, y + size * 0.88 / _MM, text)
        symbol = invoice_symbol(invoice)
        step = 20 / symbol.size
        for row, cells in enumerate(symbol.modules):
            for column, dark in enumerate(cells):
                if dark:
                    paper.rect(6.5 + column * step, 6 + row * step, step, step, style="F")
        for x1, y1, x2, y2 in _RULES:
            paper.line(x1, y1, x2, y2)
        return bytes(paper.output())

    return draw


def _font() -> str:
    import paperang_p2_fonts_cjk

    (file,) = Path(str(next(iter(paperang_p2_fonts_cjk.__path__)))).rglob("*.ttc")
    return str(file)


def _weasyprint() -> Callable[[bytes], object]:
    """Our own page of HTML, printed."""
    import weasyprint

    from piaoma.documents.html_view import html_view

    return lambda original: weasyprint.HTML(string=html_view(original).decode()).write_pdf()


def _easyofd(pdf: bytes) -> Callable[[bytes], object]:
    import logging

    logging.disable(logging.WARNING)
    if find_spec("loguru") is not None:
        from loguru import logger

        logger.remove()
    from easyofd import OFD

    def write(_: bytes) -> object:
        # It writes into a folder of the current one.
        with TemporaryDirectory() as folder, chdir(folder), redirect_stdout(io.StringIO()):
            return OFD().pdf2ofd(pdf, optional_text=True)

    return write


def _strings(ticket: Ticket) -> list[String]:
    """Every string of a ticket with one page."""
    (page,) = pages_of(ticket)
    assert page.parties is not None and page.totals is not None and page.rows is not None
    strings: list[String] = [
        (75, 8.6, 20, ticket.title),
        (154, 11, 9, f"发票号码：{ticket.number}"),
        (154, 17, 9, f"开票日期：{ticket.issued_on}"),
        (66, 92, 9, "合 计"),
        (128, 92.2, 9, ticket.amount),
        (190, 92.2, 9, ticket.tax),
        (12, 98.4, 9, "价税合计（大写）"),
        (60, 98.4, 9, f"⊗ {ticket.words}"),
        (149, 98.4, 9, f"（小写）{ticket.total}"),
        (12.2, 105, 9, ticket.remark),
        (20, 129, 9, f"开票人：{ticket.drawer}"),
        (90, 22, 9, "沙盒样票 · 测试无效"),
        (80, 70, 34, ticket.mark),
        (50, 135, 8, SAMPLE_NOTE),
    ]
    for x, title, party in ((4.5, "购买方信息", ticket.buyer), (105, "销售方信息", ticket.seller)):
        strings += [(x + 1.5, 33 + place * 3.3, 8.5, sign) for place, sign in enumerate(title)]
        strings += [(x + 8, 33.5, 9, f"名称：{party.name}")]
        strings += [(x + 8, 44.4, 9, f"统一社会信用代码/纳税人识别号：{party.taxpayer_id}")]
    strings += [(x, 52.7, 9, head) for (x, _), head in zip(COLUMNS, HEADS, strict=True)]
    for place, row in enumerate(page.rows):
        strings += _row(56.4 + 4.5 * place, row)
    return strings


def _row(y: float, row: Sequence[Cell]) -> list[String]:
    cells = [(cell, SIZES[0]) if isinstance(cell, str) else cell for cell in row]
    return [(x, y, size, text) for (x, _), (text, size) in zip(COLUMNS, cells, strict=True) if text]
