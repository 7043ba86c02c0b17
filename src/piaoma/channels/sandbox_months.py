"""The sandbox authority's book of months: what was reported to it, its sums, and months that were confirmed (汇总确认).

Its sums come from its own ledger, never from what it is asked to confirm, so a report that is missing or wrong shows.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from datetime import datetime

import msgspec

from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.money import to_fen
from piaoma.invoice.refusal import Refusal

from .contract import LedgerEntry, MonthSum, Report
from .ledger import Ledger, LedgerTransaction

_ADD = """
INSERT INTO authority_reports (number, taxpayer_id, digest, month, kind, amount_fen, tax_fen)
VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (number) DO NOTHING
"""
_SUMS = """
SELECT kind, CASE WHEN amount_fen + tax_fen < 0 THEN 'red' ELSE 'blue' END AS colour, count(*), sum(amount_fen),
       sum(tax_fen)
FROM authority_reports WHERE taxpayer_id = $1 AND month = $2 GROUP BY kind, colour ORDER BY kind, colour
"""
_ENTRIES = """
SELECT number, kind, amount_fen, tax_fen FROM authority_reports
WHERE taxpayer_id = $1 AND month = $2 AND number > $3 ORDER BY number LIMIT $4
"""
_CONFIRM = """
INSERT INTO authority_months (taxpayer_id, month, sums, confirmed_at_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (taxpayer_id, month) DO UPDATE SET sums = excluded.sums, confirmed_at_ms = excluded.confirmed_at_ms
"""


def report_of(invoice: IssuedInvoice, original: bytes) -> Report:
    """What the authority notes of an invoice that it issued itself."""
    sums = invoice.totals
    return Report(
        invoice.seller.taxpayer_id, invoice.number, hashlib.sha256(original).hexdigest(),
        f"{invoice.issued_on:%Y-%m}", invoice.kind.value, to_fen(sums.amount), to_fen(sums.tax),
    )  # fmt: skip


class MonthBook:
    """Reports and months, in the authority's own ledger. ``now`` is aware, Asia/Shanghai."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._now = now

    async def add(self, reports: Sequence[Report]) -> None:
        """Take reports in; one that is there already changes nothing."""
        async with self._ledger.write() as transaction:
            await self.add_within(transaction, reports)

    async def add_within(self, transaction: LedgerTransaction, reports: Sequence[Report]) -> None:
        """The same in a block that is open."""
        await transaction.execute_many(
            _ADD,
            [
                (one.number, one.taxpayer_id, one.digest, one.month, one.kind, one.amount_fen, one.tax_fen)
                for one in reports
            ],
        )

    async def sums(self, taxpayer_id: str, month: str) -> tuple[MonthSum, ...]:
        """What the month comes to by kind and colour."""
        rows = await self._ledger.read(_SUMS, taxpayer_id, month)
        return tuple(MonthSum(row[0], row[1], int(row[2]), int(row[3]), int(row[4])) for row in rows)

    async def entries(self, taxpayer_id: str, month: str, after: str, count: int) -> tuple[LedgerEntry, ...]:
        """Invoices of the month, by number."""
        rows = await self._ledger.read(_ENTRIES, taxpayer_id, month, after, count)
        return tuple(LedgerEntry(*(row[column] for column in range(4))) for row in rows)

    async def confirm(self, taxpayer_id: str, month: str, sums: Sequence[MonthSum]) -> tuple[Refusal, ...]:
        """Take a month as confirmed when the sums are those of the ledger."""
        if tuple(sums) != await self.sums(taxpayer_id, month):
            return (Refusal("TAX-SUMS-DIFFER", "", {"month": month}),)
        kept = msgspec.json.encode(tuple(sums)).decode()
        async with self._ledger.write() as transaction:
            await transaction.execute(_CONFIRM, taxpayer_id, month, kept, int(self._now().timestamp() * 1000))
        return ()

    async def confirmed(self, taxpayer_id: str, month: str) -> tuple[MonthSum, ...] | None:
        """The sums as they were confirmed; None when the month was not."""
        rows = await self._ledger.read(
            "SELECT sums FROM authority_months WHERE taxpayer_id = $1 AND month = $2", taxpayer_id, month
        )
        return msgspec.json.decode(rows[0][0], type=tuple[MonthSum, ...]) if rows else None
