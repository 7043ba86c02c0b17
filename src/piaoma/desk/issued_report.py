"""What was issued (开票统计) from one day to another, by day, kind, colour, clerk or shop."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma import index
from piaoma.index.figures import Column
from piaoma.invoice.money import from_fen

from .indexing import catch_up

if TYPE_CHECKING:
    from .office import Office

COLUMNS: tuple[Column, ...] = ("day", "kind", "colour", "clerk", "shop")


class Row(msgspec.Struct, frozen=True):
    """One value of the column; yuan."""

    value: str
    invoices: int
    amount: Decimal
    tax: Decimal
    percent: int  # of the largest total

    @property
    def total(self) -> Decimal:
        return self.amount + self.tax


class Report(msgspec.Struct, frozen=True):
    """Rows, and what they come to. ``missing`` invoices were issued and are not in it yet."""

    since: date
    until: date
    rows: tuple[Row, ...]
    invoices: int
    total: Decimal
    missing: int


async def report(office: Office, merchant_id: int, by: Column, since: date, until: date) -> Report:
    """Both days included."""
    missing = await catch_up(office)
    found = await index.sums(office.database, merchant_id, by, since, until)
    most = max((abs(one.total_fen) for one in found), default=0) or 1
    rows = tuple(
        Row(
            one.value, one.invoices, from_fen(one.amount_fen), from_fen(one.tax_fen),
            max(1, abs(one.total_fen) * 100 // most),
        )
        for one in found
    )  # fmt: skip
    total = from_fen(sum(one.total_fen for one in found))
    return Report(since, until, rows, sum(one.invoices for one in found), total, missing)
