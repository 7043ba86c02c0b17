"""Output tax (销项税额) of some months by kind, colour and rate, as a return asks for it, and as a table."""

from __future__ import annotations

import csv
import io
import re
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma import index
from piaoma.invoice.money import from_fen
from piaoma.invoice.refusal import refuse

from .indexing import catch_up

if TYPE_CHECKING:
    from .office import Office

MONTHS_MAX = 36
_MONTH = re.compile(r"20\d\d-(0[1-9]|1[0-2])")


class Row(msgspec.Struct, frozen=True):
    """Lines of one month, kind (01, 02), colour and rate (as the original prints it); yuan."""

    month: str
    kind: str
    colour: str
    rate: str
    lines: int
    amount: Decimal
    tax: Decimal

    @property
    def last_day(self) -> str:
        """Of the month, so that a row leads to its invoices."""
        year, month = int(self.month[:4]), int(self.month[5:])
        following = date(year + month // 12, month % 12 + 1, 1)
        return date.fromordinal(following.toordinal() - 1).isoformat()


class Report(msgspec.Struct, frozen=True):
    """Rows, and what they come to. ``missing`` invoices were issued and are not in it yet."""

    rows: tuple[Row, ...]
    amount: Decimal
    tax: Decimal
    missing: int


async def report(office: Office, merchant_id: int, first: str, last: str) -> Report:
    """The report of the months from one to another, both included. Raises ``Refused`` REPORT-MONTH."""
    for month, field in ((first, "first"), (last, "last")):
        if not _MONTH.fullmatch(month):
            raise refuse("REPORT-MONTH", field, have=month[:10], max=MONTHS_MAX)
    if not 0 <= _ordinal(last) - _ordinal(first) < MONTHS_MAX:
        raise refuse("REPORT-MONTH", "last", have=f"{first} – {last}", max=MONTHS_MAX)
    missing = await catch_up(office)
    rows = tuple(
        Row(one.month, one.kind, one.colour, one.rate, one.lines, from_fen(one.amount_fen), from_fen(one.tax_fen))
        for one in await index.taxes(office.database, merchant_id, first, last)
    )
    zero = Decimal("0.00")
    return Report(rows, sum((row.amount for row in rows), zero), sum((row.tax for row in rows), zero), missing)


def _ordinal(month: str) -> int:
    return int(month[:4]) * 12 + int(month[5:])


def as_csv(found: Report, head: tuple[str, ...]) -> bytes:
    """The rows as a csv; nothing in it was typed by anybody."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(head)
    writer.writerows((row.month, row.kind, row.colour, row.rate, row.lines, row.amount, row.tax) for row in found.rows)
    writer.writerow(("", "", "", "", "", found.amount, found.tax))
    return b"\xef\xbb\xbf" + text.getvalue().encode()
