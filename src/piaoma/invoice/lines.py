"""The arithmetic of one line (项目行): completing it, and working out its tax.

Source: tax-rules.md, Amounts [C].
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

from .draft import DifferenceMode, Draft, Line, Pricing
from .issued import PricedLine
from .money import WIDE, border_fault, round_fen
from .refusal import Refused

DECIMALS_MAX = 13  # of a quantity or a unit price
CHARACTERS_MAX = 17  # of either, as written
PRODUCT_TOLERANCE = Decimal("0.01")  # |unit price × quantity − amount| [L]

_QUOTIENT = Context(prec=40, rounding=ROUND_HALF_UP)
_ONE = Decimal(1)


def fit(value: Decimal) -> Decimal:
    """A quantity or unit price cut to what the form can hold: 13 decimals, 17 characters, no trailing zeros.

    One with more than 17 characters before its point stays too long; the rules say so.
    """
    whole_characters = len(f"{abs(value):f}".partition(".")[0]) + (value < 0)
    decimals = max(0, min(DECIMALS_MAX, CHARACTERS_MAX - whole_characters - 1))
    rounded = value.quantize(_ONE.scaleb(-decimals), context=WIDE).normalize(WIDE)
    return rounded.quantize(_ONE, context=WIDE) if rounded == rounded.to_integral_value() else rounded


def as_printed(figure: Decimal) -> Decimal:
    """A checked quantity or unit price without the trailing zeros that the form has no room for."""
    # So short a figure has no more decimals than may be, either.
    return figure if len(f"{figure:f}") <= DECIMALS_MAX + 2 else fit(figure)


def complete(
    amount: Decimal | None, quantity: Decimal | None, unit_price: Decimal | None
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Any two of amount, quantity and unit price give the third; with fewer nothing is guessed.

    A zero divisor gives nothing either: the rules say what is wrong with it, and with a result that is too long.
    Raises ``Refused`` AMOUNT-NOT-A-NUMBER, AMOUNT-TOO-LARGE or AMOUNT-DECIMALS for a figure beyond all bounds.
    """
    for field, figure in (("amount", amount), ("quantity", quantity), ("unit_price", unit_price)):
        if figure is not None and (fault := border_fault(figure, field)):
            raise Refused(fault)
    if amount is None and quantity is not None and unit_price is not None:
        amount = round_fen(WIDE.multiply(quantity, unit_price))
    elif unit_price is None and amount is not None and quantity:
        unit_price = fit(_QUOTIENT.divide(amount, quantity))
    elif quantity is None and amount is not None and unit_price:
        quantity = fit(_QUOTIENT.divide(amount, unit_price))
    return amount, quantity, unit_price


def split(amount: Decimal, rate: Decimal, pricing: Pricing) -> tuple[Decimal, Decimal, Decimal]:
    """(exclusive, tax, inclusive) of an amount in the given pricing; yuan.

    Inclusive: exclusive = round_half_up(inclusive / (1 + rate), 2), tax is the rest. Exclusive: tax =
    round_half_up(exclusive × rate, 2).
    """
    if pricing is Pricing.INCLUSIVE:
        exclusive = round_fen(_QUOTIENT.divide(amount, _ONE + rate)) if rate else amount
        return exclusive, amount - exclusive, amount
    tax = round_fen(amount * rate)
    return amount, tax, amount + tax


def split_difference(inclusive: Decimal, deduction: Decimal, rate: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """(exclusive, tax, inclusive) under 差额征税-差额开票: the tax is due on what the deduction leaves."""
    taxed = inclusive - deduction
    tax = taxed - round_fen(_QUOTIENT.divide(taxed, _ONE + rate))
    return inclusive - tax, tax, inclusive


def taxed(line: Line, draft: Draft) -> tuple[Decimal, Decimal, Decimal]:
    """(exclusive, tax, inclusive) of a line of a draft.

    差额征税-全额开票 is split like any other line: the buyer's invoice shows the tax on the whole amount, and the
    deduction is made in the seller's return only [L]. 差额征税-差额开票 shows the tax on the rest [C].
    """
    amount = round_fen(line.amount)
    parts = split(amount, line.rate, draft.pricing)
    if draft.difference is not None and draft.difference.mode is DifferenceMode.DIFFERENCE:
        return split_difference(parts[2], draft.difference.deduction, line.rate)
    return parts


def exclusive_price(line: Line, exclusive: Decimal) -> Decimal | None:
    """The unit price that is printed: as given when the amount is, else what the exclusive amount leaves for one."""
    if line.unit_price is None or line.quantity is None or exclusive == line.amount:
        return line.unit_price
    return fit(_QUOTIENT.divide(exclusive, line.quantity))


def price_line(line: Line, draft: Draft, printed_name: str) -> PricedLine:
    """A checked line with its tax. ``printed_name`` is ``*简称*名称``."""
    exclusive, tax, inclusive = taxed(line, draft)
    quantity, unit_price = line.quantity, exclusive_price(line, exclusive)
    if quantity is not None and unit_price is not None:
        quantity = as_printed(quantity)
        unit_price = as_printed(unit_price) if unit_price is line.unit_price else unit_price
    return PricedLine(
        name=printed_name,
        code=line.code,
        rate=line.rate,
        amount=exclusive,
        tax=tax,
        inclusive=inclusive,
        quantity=quantity,
        unit_price=unit_price,
        unit=line.unit,
        spec=line.spec,
        kind=line.kind,
        preference=line.preference,
        zero=line.zero,
    )
