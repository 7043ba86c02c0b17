"""The arithmetic of one line (项目行): completing it, and working out its tax.

Source: tax-rules.md, Amounts [C].
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal

from .draft import Draft, Line, Pricing
from .issued import PricedLine
from .money import round_fen

DECIMALS_MAX = 13  # of a quantity or a unit price
CHARACTERS_MAX = 17  # of either, as written
PRODUCT_TOLERANCE = Decimal("0.01")  # |unit price × quantity − amount| [L]

_WIDE = Context(prec=40, rounding=ROUND_HALF_UP)
_ONE = Decimal(1)


def fit(value: Decimal) -> Decimal:
    """A quantity or unit price cut to what the form can hold: 13 decimals, 17 characters, no trailing zeros."""
    whole_characters = len(f"{abs(value):f}".partition(".")[0]) + (value < 0)
    decimals = max(0, min(DECIMALS_MAX, CHARACTERS_MAX - whole_characters - 1))
    rounded = value.quantize(Decimal(1).scaleb(-decimals), context=_WIDE).normalize(_WIDE)
    return rounded.quantize(_ONE) if rounded == rounded.to_integral_value() else rounded


def complete(
    amount: Decimal | None, quantity: Decimal | None, unit_price: Decimal | None
) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Any two of amount, quantity and unit price give the third; with fewer nothing is guessed.

    A zero divisor gives nothing either: the rules say what is wrong with it.
    """
    if amount is None and quantity is not None and unit_price is not None:
        amount = round_fen(_WIDE.multiply(quantity, unit_price))
    elif unit_price is None and amount is not None and quantity:
        unit_price = fit(_WIDE.divide(amount, quantity))
    elif quantity is None and amount is not None and unit_price:
        quantity = fit(_WIDE.divide(amount, unit_price))
    return amount, quantity, unit_price


def split(amount: Decimal, rate: Decimal, pricing: Pricing) -> tuple[Decimal, Decimal, Decimal]:
    """(exclusive, tax, inclusive) of an amount in the given pricing; yuan.

    Inclusive: exclusive = round_half_up(inclusive / (1 + rate), 2), tax is the rest. Exclusive: tax =
    round_half_up(exclusive × rate, 2).
    """
    if pricing is Pricing.INCLUSIVE:
        exclusive = round_fen(_WIDE.divide(amount, _ONE + rate)) if rate else amount
        return exclusive, amount - exclusive, amount
    tax = round_fen(amount * rate)
    return amount, tax, amount + tax


def split_difference(inclusive: Decimal, deduction: Decimal, rate: Decimal) -> tuple[Decimal, Decimal, Decimal]:
    """(exclusive, tax, inclusive) under 差额征税: the tax is due on what the deduction leaves."""
    taxed = inclusive - deduction
    tax = taxed - round_fen(_WIDE.divide(taxed, _ONE + rate))
    return inclusive - tax, tax, inclusive


def price_line(line: Line, draft: Draft, printed_name: str) -> PricedLine:
    """A checked line with its tax. ``printed_name`` is ``*简称*名称``."""
    amount = round_fen(line.amount)
    if draft.difference is not None:
        inclusive = split(amount, line.rate, draft.pricing)[2]
        exclusive, tax, inclusive = split_difference(inclusive, draft.difference.deduction, line.rate)
    else:
        exclusive, tax, inclusive = split(amount, line.rate, draft.pricing)
    unit_price = line.unit_price
    if unit_price is not None and line.quantity is not None and exclusive != amount:
        unit_price = fit(_WIDE.divide(exclusive, line.quantity))
    return PricedLine(
        name=printed_name,
        code=line.code,
        rate=line.rate,
        amount=exclusive,
        tax=tax,
        inclusive=inclusive,
        quantity=line.quantity,
        unit_price=unit_price,
        unit=line.unit,
        spec=line.spec,
        kind=line.kind,
        preference=line.preference,
        zero=line.zero,
    )
