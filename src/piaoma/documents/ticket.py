"""The ticket (票面): every string that a view shows, formatted once, so that PDF and HTML cannot differ."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

import msgspec

from piaoma.invoice import printable
from piaoma.invoice.draft import Draft, InvoiceKind, ZeroKind
from piaoma.invoice.issued import IssuedInvoice, PricedLine, Totals
from piaoma.invoice.parties import Party
from piaoma.invoice.rates import printed
from piaoma.invoice.totals import remark_of

TITLES = {
    InvoiceKind.SPECIAL: "电子发票（增值税专用发票）",
    InvoiceKind.GENERAL: "电子发票（普通发票）",
}
NO_TAX = "***"
SAMPLE_MARK = "测试样票 无效"
SAMPLE_NOTE = "本票为沙盒测试样票，不是发票，不得报销入账。SANDBOX SAMPLE, NOT AN INVOICE."

MM_PER_POINT = 25.4 / 72
SIZES = (9.0, 8.5, 8.0, 7.5, 7.0, 6.5)  # points; smaller is not read any more
LEADING = 1.2  # from row to row, in sizes
WIDEST = 1500  # thousandths of an em: no printable character is wider

_WORD = re.compile(r"[0-9A-Za-z\u00c0-\u024f.,@&'/_+-]")
_CLOSING = frozenset("，。、；：！？）】》」』〉”’…,.;:!?)]}%℃")
_OPENING = frozenset("（【《「『〈“‘([{¥#")


class TicketLine(msgspec.Struct, frozen=True):
    """A row of the item table. All strings as printed."""

    name: str
    spec: str
    unit: str
    quantity: str
    unit_price: str
    amount: str
    rate: str
    tax: str


class TicketParty(msgspec.Struct, frozen=True):
    """One side."""

    name: str
    taxpayer_id: str


class Ticket(msgspec.Struct, frozen=True):
    """A whole ticket. ``number`` and ``issued_on`` are empty on a preview; ``mark`` says why it is not valid."""

    title: str
    number: str
    number_grouped: str
    issued_on: str
    buyer: TicketParty
    seller: TicketParty
    lines: tuple[TicketLine, ...]
    amount: str
    tax: str
    words: str
    total: str
    remark: str
    drawer: str
    mark: str
    red: bool = False  # 红字发票: pages say so; the form itself shows it by its figures and its remark only


def ticket_of(invoice: IssuedInvoice) -> Ticket:
    """The ticket of an issued invoice."""
    ticket = _ticket(
        invoice.kind,
        invoice.buyer,
        invoice.seller,
        invoice.lines,
        invoice.totals,
        remark=_red_remark(invoice),
        drawer=invoice.drawer,
        number=invoice.number,
        issued_on=f"{invoice.issued_on:%Y年%m月%d日}",
        mark=SAMPLE_MARK if invoice.sandbox else "",
    )
    return msgspec.structs.replace(ticket, red=True) if invoice.red is not None else ticket


def ticket_of_draft(draft: Draft, lines: Sequence[PricedLine], totals: Totals) -> Ticket:
    """What the ticket will look like: it differs in number, date, QR, seal and the mark 预览 only."""
    return _ticket(
        draft.kind,
        draft.buyer,
        draft.seller,
        lines,
        totals,
        remark=remark_of(draft),
        drawer=draft.drawer,
        number="",
        issued_on="",
        mark="预览",
    )


def _ticket(
    kind: InvoiceKind,
    buyer: Party,
    seller: Party,
    lines: Sequence[PricedLine],
    totals: Totals,
    *,
    remark: str,
    drawer: str,
    number: str,
    issued_on: str,
    mark: str,
) -> Ticket:
    untaxed = all(_is_untaxed(line) for line in lines)
    return Ticket(
        title=TITLES[kind],
        number=number,
        number_grouped=" ".join(number[start : start + 4] for start in range(0, len(number), 4)),
        issued_on=issued_on,
        buyer=TicketParty(buyer.name, buyer.taxpayer_id),
        seller=TicketParty(seller.name, seller.taxpayer_id),
        lines=tuple(_line(line) for line in lines),
        amount=f"¥{totals.amount:.2f}",
        tax=NO_TAX if untaxed else f"¥{totals.tax:.2f}",
        words=totals.words,
        total=f"¥{totals.inclusive:.2f}",
        remark=remark,
        drawer=drawer,
        mark=mark,
    )


def _line(line: PricedLine) -> TicketLine:
    return TicketLine(
        name=line.name,
        spec=line.spec,
        unit=line.unit,
        quantity=_figure(line.quantity),
        unit_price=_figure(line.unit_price),
        amount=f"{line.amount:.2f}",
        rate=printed(line.rate, line.zero),
        tax=NO_TAX if _is_untaxed(line) else f"{line.tax:.2f}",
    )


def _is_untaxed(line: PricedLine) -> bool:
    """免税 and 不征税 print *** for the tax [U]."""
    return line.zero in (ZeroKind.EXEMPT, ZeroKind.UNTAXED)


def _figure(value: Decimal | None) -> str:
    return "" if value is None else f"{value:f}"


def _red_remark(invoice: IssuedInvoice) -> str:
    """A red invoice names what it corrects (einvoice.md §1 [L])."""
    if invoice.red is None or not invoice.red.blue_number or invoice.red.blue_number in invoice.remark:
        return invoice.remark
    names = f"被红冲蓝字数电票号码：{invoice.red.blue_number} 红字发票信息确认单编号：{invoice.red.form_number}"
    return f"{names} {invoice.remark}".strip()


class Block(msgspec.Struct, frozen=True):
    """A text as it is set: rows, their size in points, and the step from one to the next in millimetres."""

    rows: tuple[str, ...]
    size: float
    pitch: float

    @property
    def height(self) -> float:
        """In millimetres."""
        return len(self.rows) * self.pitch


def width_em(text: str) -> float:
    """How wide a text is, in em, by the fonts' own figures."""
    advances = printable.advances()
    return sum(advances.get(letter, 1000) for letter in text) / 1000


def wrapped(text: str, em_max: float) -> list[str]:
    """A text cut into rows that are no wider than ``em_max``; an empty text is one empty row.

    No character is lost. Cut is before a word where one begins, never before a closing sign; what has no such place is
    cut where the row is full.
    """
    advances = printable.advances()
    room = int(em_max * 1000)
    if len(text) * WIDEST <= room:
        return [text]
    rows, start = [], 0
    while True:
        end, width = start, 0
        while end < len(text) and (width := width + advances.get(text[end], 1000)) <= room:
            end += 1
        if end == len(text):
            rows.append(text[start:])
            return rows
        end = _cut(text, start, max(end, start + 1))
        rows.append(text[start:end])
        start = end


def set_in(text: str, width_mm: float, height_mm: float, sizes: Sequence[float] = SIZES) -> Block:
    """A text set in the largest of the sizes at which it fits a space; in the smallest when none does."""
    for size in sizes:
        block = set_at(text, width_mm, size)
        if block.height <= height_mm:
            break
    return block


def set_at(text: str, width_mm: float, size: float) -> Block:
    """A text set in one size, as many rows as it takes."""
    rows = wrapped(text, width_mm / MM_PER_POINT / size)
    return Block(tuple([row.strip() for row in rows]), size, round(size * MM_PER_POINT * LEADING, 3))


def _cut(text: str, start: int, end: int) -> int:
    """Where a row that is full at ``end`` had better end."""
    least = start + (end - start) // 2  # no row is left more than half empty
    if text[end] == " ":
        return end + 1
    place = end
    while place > least and _WORD.match(text[place - 1]) and _WORD.match(text[place]):
        place -= 1
    if place == least:
        place = end
    while place > least and (text[place] in _CLOSING or text[place - 1] in _OPENING):
        place -= 1
    return place if place > least else end
