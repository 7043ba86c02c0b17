"""The red invoice (红字发票): what of a blue one it takes back, line by line, and the invoice that it becomes.

Source: tax-rules.md, Correction. There is no void of a 数电票: after issue only a red invoice corrects. It has plain
lines only, so an item and its discount are taken back as one.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from .draft import Draft, Line, LineKind, Pricing
from .issued import Bureau, IssuedInvoice, PricedLine, RedReference
from .lines import fit
from .money import WIDE, round_fen
from .red_form import RedReason
from .totals import invoice_of, totals_of

_DIFFERENCE = re.compile(r"差额征税\S*(?: 元。)?")


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


def share(item: PricedLine, rest: tuple[Decimal, Decimal], inclusive: Decimal) -> tuple[Decimal, Decimal]:
    """(amount, tax) to take back, negative, of an item of which ``rest`` is left, for a tax-inclusive sum that is given
    back to the buyer. The last part takes what is left as it stands, however it was rounded."""
    amount_left, tax_left = rest
    if inclusive == amount_left + tax_left:
        return -amount_left, -tax_left
    amount = round_fen(WIDE.divide(inclusive, 1 + item.rate)) if tax_left else inclusive
    # Rounding may not take a fen more of either than is left.
    tax = min(inclusive - amount, tax_left)
    return -(inclusive - tax), -tax


def priced(draft: RedDraft) -> tuple[PricedLine, ...]:
    """The lines of the red invoice."""
    named = items(draft.blue)
    return tuple(_priced(named[line.place], line) for line in draft.lines)


def draft_of(draft: RedDraft) -> Draft:
    """A red draft as the draft of an invoice: so that it is issued in the way that every other invoice is."""
    blue = draft.blue
    remark = f"被红冲蓝字数电票号码：{blue.number} 红字发票信息确认单编号：{draft.form_number} {draft.remark}".strip()
    if difference := _DIFFERENCE.search(blue.remark):
        remark = f"{difference[0]} {remark}"  # as the form wants it of any invoice of a difference
    return Draft(
        kind=blue.kind,
        seller=blue.seller,
        buyer=blue.buyer,
        lines=tuple(
            Line(
                line.name.rpartition("*")[2],
                line.code,
                line.rate,
                line.amount,
                line.quantity,
                line.unit_price,
                line.unit,
                line.spec,
                preference=line.preference,
                zero=line.zero,
            )
            for line in priced(draft)
        ),
        pricing=Pricing.EXCLUSIVE,
        drawer=draft.drawer,
        remark=remark,
    )


def red_invoice_of(draft: RedDraft, number: str, at: datetime, bureau: Bureau) -> IssuedInvoice:
    """The invoice that a checked red draft becomes at an aware moment in Asia/Shanghai, whole seconds."""
    lines = priced(draft)
    reference = RedReference(draft.blue.number, draft.form_number)
    return invoice_of(draft_of(draft), lines, totals_of(lines), number, at, bureau, reference)


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
