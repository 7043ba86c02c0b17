"""The rows of an original as EN 16931 knows lines: discounts inside their item, nothing negative but by quantity.

A red invoice becomes a credit note, whose amounts count the other way: every sign is turned round. 差额征税 becomes two
lines, what is taxed and what was deducted, because the standard has no tax on a part of a line.
"""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal

import msgspec

from piaoma.invoice.draft import LineKind, ZeroKind
from piaoma.invoice.inspect import TAX_TOLERANCE_LINE, deductions_of
from piaoma.invoice.issued import IssuedInvoice, PricedLine
from piaoma.invoice.money import round_fen
from piaoma.invoice.refusal import refuse

from .ubl_tax import DEDUCTED, TaxGroup, group_of
from .units import LUMP_SUM, ONE, unit_code

_NOTHING, _ONCE = Decimal("0.00"), Decimal(1)


class UblLine(msgspec.Struct, frozen=True):
    """One line. ``net`` (BT-131) is ``gross`` less ``discount``; the price is for ``price_quantity`` units, never
    negative; money in yuan, ``tax`` is the original's and stands in no line of the standard, only in its group."""

    place: str  # of the row in the original, from 1
    row: PricedLine
    group: TaxGroup
    net: Decimal
    tax: Decimal
    quantity: Decimal
    price: Decimal
    price_quantity: Decimal
    unit: str  # code
    gross: Decimal
    discount: Decimal = _NOTHING


def lines_of(invoice: IssuedInvoice) -> list[UblLine]:
    """The lines, in the order of the original. Raises ``Refused`` UBL-FIGURES for money with more than two decimals."""
    sign = -1 if invoice.red else 1
    lines: list[UblLine] = []
    for place, row in enumerate(invoice.lines, 1):
        if row.kind is LineKind.DISCOUNT and lines:
            lines[-1] = _discounted(lines[-1], row)
        else:
            lines.extend(_split(_line(str(place), row, sign), invoice))
    return lines


def fen_of(value: Decimal) -> Decimal:
    """An amount with two decimals; UBL-FIGURES when it has more that say something."""
    rounded = round_fen(value)
    if rounded != value:
        raise refuse("UBL-FIGURES", have=f"{value:f}")
    return rounded


def _line(place: str, row: PricedLine, sign: int) -> UblLine:
    net, tax = fen_of(row.amount * sign), fen_of(row.tax * sign)
    quantity, price, price_quantity = _priced(row, net, sign)
    unit = LUMP_SUM if not row.quantity else unit_code(row.unit) or ONE
    return UblLine(place, row, group_of(row), net, tax, quantity, price, price_quantity, unit, gross=net)


def _priced(row: PricedLine, net: Decimal, sign: int) -> tuple[Decimal, Decimal, Decimal]:
    """(quantity, price, units that the price is for). BR-27 wants a price that is not negative."""
    if not row.quantity:
        return _turned(_ONCE, net, _ONCE)
    if row.unit_price is None:
        return _turned(row.quantity * sign, abs(net), abs(row.quantity))
    return _turned(row.quantity * sign, row.unit_price, _ONCE)


def _turned(quantity: Decimal, price: Decimal, price_quantity: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    return (-quantity, -price, price_quantity) if price < 0 else (quantity, price, price_quantity)


def _discounted(item: UblLine, discount: PricedLine) -> UblLine:
    """A discount row of the original is an allowance of its item (BG-27)."""
    off = fen_of(-discount.amount)
    return msgspec.structs.replace(
        item, net=item.net - off, tax=item.tax + fen_of(discount.tax), discount=item.discount + off
    )


def _split(line: UblLine, invoice: IssuedInvoice) -> Iterator[UblLine]:
    """The line, or both parts of one whose tax is on what a stated deduction leaves (差额征税-差额开票)."""
    stated = [deduction for deduction in deductions_of(invoice) if deduction]
    rate = line.row.rate
    if not stated or invoice.red or line.row.zero is not ZeroKind.NOT_ZERO:
        yield line
        return
    deducted = fen_of(stated[0])
    taxed = line.net - deducted
    if abs(line.net * rate - line.tax) <= TAX_TOLERANCE_LINE or abs(taxed * rate - line.tax) > TAX_TOLERANCE_LINE:
        yield line
        return
    if taxed:
        price_quantity = abs(line.quantity)
        yield msgspec.structs.replace(
            line, place=f"{line.place}.1", net=taxed, gross=taxed, price=taxed, price_quantity=price_quantity
        )
    yield msgspec.structs.replace(
        line, place=f"{line.place}.2", group=DEDUCTED, net=deducted, tax=_NOTHING, gross=deducted,
        quantity=_ONCE, price=deducted, price_quantity=_ONCE, unit=LUMP_SUM,
    )  # fmt: skip
