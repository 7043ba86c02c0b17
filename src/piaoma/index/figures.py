"""Figures that are summed up while the log is followed: by day, by month and rate, by item, by waiting time."""

from __future__ import annotations

from datetime import date
from typing import Literal

import msgspec

from piaoma.store import Database

CHOICES_MAX = 100  # clerks or shops to choose from
Column = Literal["day", "kind", "colour", "clerk", "shop"]


class Sum(msgspec.Struct, frozen=True):
    """Invoices of one value of a column, and their sums in fen, tax-exclusive and tax."""

    value: str
    invoices: int
    amount_fen: int
    tax_fen: int

    @property
    def total_fen(self) -> int:
        return self.amount_fen + self.tax_fen


class TaxRow(msgspec.Struct, frozen=True):
    """Lines of one month, kind, colour and rate: what they add up to in fen."""

    month: str
    kind: str
    colour: str
    rate: str
    lines: int
    amount_fen: int
    tax_fen: int


async def sums(database: Database, merchant_id: int, column: Column, since: date, until: date) -> list[Sum]:
    """Invoices issued from one day to another, both included, by the values of a column."""
    rows = await database.read(
        f"SELECT {column}, sum(invoices), sum(amount_fen), sum(tax_fen) FROM index_days"  # noqa: S608
        f" WHERE merchant_id = $1 AND day >= $2 AND day <= $3 GROUP BY {column} ORDER BY {column}",
        merchant_id, since.isoformat(), until.isoformat(),
    )  # fmt: skip
    return [Sum(row[0], int(row[1]), int(row[2]), int(row[3])) for row in rows]


async def taxes(database: Database, merchant_id: int, first: str, last: str) -> list[TaxRow]:
    """Output tax of the months from one to another, both included."""
    rows = await database.read(
        "SELECT month, kind, colour, rate, lines, amount_fen, tax_fen FROM index_taxes"
        " WHERE merchant_id = $1 AND month >= $2 AND month <= $3 ORDER BY month, kind, colour, rate",
        merchant_id, first, last,
    )  # fmt: skip
    return [TaxRow(*(row[column] for column in range(7))) for row in rows]


async def month_sums(database: Database, merchant_id: int, month: str) -> list[tuple[str, str, int, int, int]]:
    """(kind, colour, invoices, amount, tax) of a month, fen, in that order of kinds and colours."""
    rows = await database.read(
        "SELECT kind, colour, sum(invoices), sum(amount_fen), sum(tax_fen) FROM index_days"
        " WHERE merchant_id = $1 AND day >= $2 AND day <= $3 GROUP BY kind, colour ORDER BY kind, colour",
        merchant_id, f"{month}-01", f"{month}-31",
    )  # fmt: skip
    return [(row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in rows]


async def top_items(database: Database, merchant_id: int, month: str, count: int) -> list[tuple[str, int, int]]:
    """(item, invoices that hold it, their totals in fen) of a month, the largest first."""
    rows = await database.read(
        "SELECT item, invoices, total_fen FROM index_items WHERE merchant_id = $1 AND month = $2"
        " ORDER BY total_fen DESC, item LIMIT $3",
        merchant_id, month, count,
    )  # fmt: skip
    return [(row[0], int(row[1]), int(row[2])) for row in rows]


async def waits(database: Database, merchant_id: int, since: date, until: date) -> dict[int, int]:
    """How many invoices came within so many seconds of their code; keys are ``following.WAIT_BOUNDS_S``."""
    rows = await database.read(
        "SELECT bound_s, sum(invoices) FROM index_waits WHERE merchant_id = $1 AND day >= $2 AND day <= $3"
        " GROUP BY bound_s ORDER BY bound_s",
        merchant_id, since.isoformat(), until.isoformat(),
    )  # fmt: skip
    return {int(row[0]): int(row[1]) for row in rows}


async def rates_of(database: Database, merchant_id: int) -> list[str]:
    """The rates that lines of the merchant's invoices have."""
    rows = await database.read(
        "SELECT DISTINCT rate FROM index_taxes WHERE merchant_id = $1 ORDER BY rate LIMIT $2", merchant_id, CHOICES_MAX
    )
    return [row[0] for row in rows]


async def choices(database: Database, merchant_id: int, column: Literal["clerk", "shop"]) -> list[str]:
    """The values that a column has."""
    rows = await database.read(
        f"SELECT DISTINCT {column} FROM index_days WHERE merchant_id = $1 ORDER BY {column} LIMIT $2",  # noqa: S608
        merchant_id, CHOICES_MAX,
    )  # fmt: skip
    return [row[0] for row in rows]
