"""Money (金额): yuan as ``Decimal`` with two decimals, or integer fen. Never a float."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal

from .refusal import Refusal, refuse

FEN = Decimal("0.01")
AMOUNT_MAX = Decimal("9999999999999.99")  # yuan; what the form's columns can hold
FIGURE_DIGITS_MAX = 40  # characters of any figure of a draft, and places of its first digit from the point

# Sums and products of bounded figures are exact here, and cutting one to its decimals never raises.
WIDE = Context(prec=4 * FIGURE_DIGITS_MAX, rounding=ROUND_HALF_UP)

_FULL_WIDTH = str.maketrans("０１２３４５６７８９．，－＋", "0123456789.,-+")
_TYPED = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?")


def round_fen(value: Decimal) -> Decimal:
    """Round half up, away from zero, to two decimals (tax-rules.md, Amounts)."""
    rounded = value.quantize(FEN, ROUND_HALF_UP, WIDE)
    return rounded or abs(rounded)  # a form has no minus before a zero


def is_bounded(figure: Decimal) -> bool:
    """Whether a figure from outside may be worked with at all: finite, and of a size that nothing chokes on.

    Every Decimal of a draft is asked this before anything else: ``1E-999999999`` is a short text that takes two
    gigabytes to print, and comparing with a signalling NaN raises.
    """
    # ``str`` writes exponents as such, so its length bounds the digits; it is the fastest way to count them.
    return (
        figure.is_finite()
        and -FIGURE_DIGITS_MAX <= figure.adjusted() <= FIGURE_DIGITS_MAX
        and len(str(figure)) <= FIGURE_DIGITS_MAX
    )


def border_fault(figure: Decimal, field: str) -> Refusal | None:
    """What is wrong with a figure that is not bounded: AMOUNT-NOT-A-NUMBER, AMOUNT-TOO-LARGE or AMOUNT-DECIMALS."""
    if is_bounded(figure):
        return None
    if not figure.is_finite():
        cause = "AMOUNT-NOT-A-NUMBER"
    else:
        cause = "AMOUNT-TOO-LARGE" if figure.copy_abs() > AMOUNT_MAX else "AMOUNT-DECIMALS"
    return Refusal(cause, field, {"have": str(figure)[:40]})


def to_fen(yuan: Decimal) -> int:
    """Yuan with at most two decimals as fen. More decimals are a bug of the caller."""
    fen = yuan.scaleb(2)
    whole = int(fen)
    assert whole == fen, "an amount of money has two decimals"
    return whole


def from_fen(fen: int) -> Decimal:
    """Fen as yuan with two decimals."""
    return Decimal(fen).scaleb(-2)


def format_yuan(yuan: Decimal) -> str:
    """``12486`` as ``12,486.00``: grouped by thousands, always two decimals."""
    return f"{yuan:,.2f}"


def parse_amount(text: str, field: str = "amount") -> Decimal:
    """An amount that a person typed: ``58``, ``￥58.00``, ``1,280.5``, full-width digits.

    Raises ``Refused`` AMOUNT-EMPTY, AMOUNT-NOT-A-NUMBER, AMOUNT-NOT-POSITIVE, AMOUNT-DECIMALS or AMOUNT-TOO-LARGE.
    """
    typed = text.translate(_FULL_WIDTH).strip().lstrip("¥￥").removesuffix("元").strip().replace("，", ",")
    if not typed:
        raise refuse("AMOUNT-EMPTY", field)
    if len(typed) > 40 or not _TYPED.fullmatch(typed) or not any(letter.isdigit() for letter in typed):
        raise refuse("AMOUNT-NOT-A-NUMBER", field, have=typed[:20])
    value = Decimal(typed.replace(",", ""))
    if value <= 0:
        raise refuse("AMOUNT-NOT-POSITIVE", field, have=typed)
    if value != round_fen(value):
        raise refuse("AMOUNT-DECIMALS", field, have=typed)
    if value > AMOUNT_MAX:
        raise refuse("AMOUNT-TOO-LARGE", field, have=typed)
    return round_fen(value)
