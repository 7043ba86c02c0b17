"""The ticket (票面): every string that a view shows, formatted once, so that PDF and HTML cannot differ."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from decimal import Decimal

import msgspec

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


def ticket_of(invoice: IssuedInvoice) -> Ticket:
    """The ticket of an issued invoice."""
    return _ticket(
        invoice.kind,
        invoice.buyer,
        invoice.seller,
        invoice.lines,
        invoice.totals,
        remark=_red_remark(invoice),
        drawer=invoice.drawer,
        number=invoice.number,
        issued_on=f"{invoice.issued_on:%Y年%m月%d日}",
        mark="测试样票 无效" if invoice.sandbox else "",
    )


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


def width_em(text: str) -> float:
    """How wide a text is, in em: full-width characters 1, Latin letters and digits by rough class. Never too small."""
    width = 0.0
    for letter in text:
        if unicodedata.east_asian_width(letter) in "WF" or ord(letter) > 0x2E7F:
            width += 1.0
        elif letter in "MWmw@%":
            width += 0.95
        elif letter.isupper():
            width += 0.74
        else:
            width += 0.6
    return width


def wrapped(text: str, em_max: float) -> list[str]:
    """A text cut into rows that are no wider than ``em_max``; an empty text is one empty row."""
    rows, row, width = [], "", 0.0
    for letter in text:
        step = width_em(letter)
        if row and width + step > em_max:
            rows.append(row)
            row, width = "", 0.0
        row += letter
        width += step
    rows.append(row)
    return rows
