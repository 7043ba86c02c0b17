"""Money (金额): yuan as ``Decimal`` with two decimals, or integer fen. Never a float."""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Decimal

from .refusal import refuse

FEN = Decimal("0.01")
AMOUNT_MAX = Decimal("9999999999999.99")  # yuan; what the form's columns can hold

_FULL_WIDTH = str.maketrans("０１２３４５６７８９．，－＋", "0123456789.,-+")
_TYPED = re.compile(r"[+-]?(\d{1,3}(,\d{3})+|\d+)?(\.\d*)?")


def round_fen(value: Decimal) -> Decimal:
    """Round half up, away from zero, to two decimals (tax-rules.md, Amounts)."""
    rounded = value.quantize(FEN, ROUND_HALF_UP)
    return rounded or abs(rounded)  # a form has no minus before a zero


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
