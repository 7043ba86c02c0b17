"""The red invoice (红字发票): what of a blue one it takes back, line by line, and the invoice that it becomes.

Source: tax-rules.md, Correction. There is no void of a 数电票: after issue only a red invoice corrects. It has plain
lines only, so an item and its discount are taken back as one.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from .draft import LineKind
from .issued import Bureau, IssuedInvoice, PricedLine, RedReference
from .lines import fit
from .money import WIDE
from .red_form import RedReason
from .totals import totals_of

ZERO = Decimal("0.00")


class RedLine(msgspec.Struct, frozen=True):
    """What is taken back of one item of the blue invoice. Amount (tax-exclusive) and tax are negative yuan; a quantity
    is negative too, and absent when only money is given back."""

    place: int  # of the item among the blue invoice's lines, from 0
    amount: Decimal
    tax: Decimal
    quantity: Decimal | None = None


class RedDraft(msgspec.Struct, frozen=True):
    """A red invoice before any rule has looked at it."""

    blue: IssuedInvoice
    reason: RedReason
    lines: tuple[RedLine, ...]
    form_number: str  # 红字发票信息确认单编号
    drawer: str
    remark: str = ""


class BlueState(StrEnum):
    """发票状态 as a reader expects it."""

    NORMAL = "normal"  # 正常
    PARTLY_RED = "partly_red"  # 部分红冲
    RED = "red"  # 全额红冲


def items(blue: IssuedInvoice) -> dict[int, PricedLine]:
    """The items of an invoice by place, each with its discount taken off; discount lines are no items of their own."""
    found: dict[int, PricedLine] = {}
    for place, line in enumerate(blue.lines):
        if line.kind is LineKind.DISCOUNT:
            item = found[place - 1]
            found[place - 1] = msgspec.structs.replace(
                item,
                amount=item.amount + line.amount,
                tax=item.tax + line.tax,
                inclusive=item.inclusive + line.inclusive,
                kind=LineKind.PLAIN,
            )
        else:
            found[place] = line
    return found


def left(blue: IssuedInvoice, earlier: Sequence[RedLine]) -> dict[int, tuple[Decimal, Decimal]]:
    """(amount, tax) of each item that earlier red invoices have left; never negative when the rules were kept."""
    rest = {place: (item.amount, item.tax) for place, item in items(blue).items()}
    for line in earlier:
        amount, tax = rest[line.place]
        rest[line.place] = (amount + line.amount, tax + line.tax)
    return rest


def whole(blue: IssuedInvoice, earlier: Sequence[RedLine] = ()) -> tuple[RedLine, ...]:
    """All that is left of a blue invoice, to be taken back."""
    named = items(blue)
    return tuple(
        RedLine(place, -amount, -tax, _all_of(named[place], amount))
        for place, (amount, tax) in left(blue, earlier).items()
        if amount or tax
    )


def _all_of(item: PricedLine, amount: Decimal) -> Decimal | None:
    """The whole quantity, when nothing of the item was taken back before."""
    return -item.quantity if item.quantity is not None and amount == item.amount else None


def blue_state(blue: IssuedInvoice, earlier: Sequence[RedLine]) -> BlueState:
    """What became of a blue invoice."""
    if not earlier:
        return BlueState.NORMAL
    rest = left(blue, earlier).values()
    return BlueState.PARTLY_RED if any(amount or tax for amount, tax in rest) else BlueState.RED


def red_invoice_of(draft: RedDraft, number: str, at: datetime, bureau: Bureau) -> IssuedInvoice:
    """The invoice that a checked red draft becomes at an aware moment in Asia/Shanghai, whole seconds."""
    assert at.microsecond == 0 and at.tzinfo is not None, "the original states whole seconds of a known zone"
    blue, named = draft.blue, items(draft.blue)
    lines = tuple(_priced(named[line.place], line) for line in draft.lines)
    remark = f"被红冲蓝字数电票号码：{blue.number} 红字发票信息确认单编号：{draft.form_number}"
    return IssuedInvoice(
        number=number,
        kind=blue.kind,
        seller=blue.seller,
        buyer=blue.buyer,
        lines=lines,
        totals=totals_of(lines),
        drawer=draft.drawer,
        remark=f"{remark} {draft.remark}".strip(),
        requested_at=at,
        issued_on=at.date(),
        signed_at=at,
        bureau=bureau,
        red=RedReference(blue.number, draft.form_number),
    )


def _priced(item: PricedLine, line: RedLine) -> PricedLine:
    unit_price = None
    if line.quantity:
        unit_price = fit(WIDE.divide(line.amount, line.quantity))
    return msgspec.structs.replace(
        item,
        amount=line.amount,
        tax=line.tax,
        inclusive=line.amount + line.tax,
        quantity=line.quantity,
        unit_price=unit_price,
        unit=item.unit if line.quantity else "",
        kind=LineKind.PLAIN,
    )
