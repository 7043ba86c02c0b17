"""Savings (节省): an estimate of paper, hours and money, from how many invoices there are and what is assumed of one.

The assumptions are nobody's measurement: they stand on the page beside the figures and can be changed there.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Decimal

import msgspec

SHEETS, SHEET_YUAN = Decimal(2), Decimal("0.10")  # of a paper invoice: form and copy; paper and print of one
MINUTES, HOUR_YUAN = Decimal(3), Decimal(25)  # of a clerk: asking for the title, typing, printing; what an hour costs
FIGURE_MAX = Decimal(10_000)  # of an assumption
_CENT = Decimal("0.01")


class Assumptions(msgspec.Struct, frozen=True):
    """What one paper invoice would have taken; yuan."""

    sheets: Decimal = SHEETS
    sheet_yuan: Decimal = SHEET_YUAN
    minutes: Decimal = MINUTES
    hour_yuan: Decimal = HOUR_YUAN


class Savings(msgspec.Struct, frozen=True):
    """What so many invoices come to by the assumptions; hours of work, yuan."""

    invoices: int
    sheets: Decimal
    hours: Decimal
    yuan: Decimal


def savings(invoices: int, assumed: Assumptions) -> Savings:
    """The estimate: so many times what one would have taken."""
    sheets, minutes = invoices * assumed.sheets, invoices * assumed.minutes
    yuan = sheets * assumed.sheet_yuan + minutes * assumed.hour_yuan / 60
    return Savings(
        invoices,
        sheets.quantize(Decimal(1), ROUND_HALF_UP),
        (minutes / 60).quantize(Decimal("0.1"), ROUND_HALF_UP),
        yuan.quantize(_CENT, ROUND_HALF_UP),
    )
