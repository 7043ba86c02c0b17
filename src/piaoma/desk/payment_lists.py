"""Payment files and what became of their payments, as lists whose counts and sums are those of the page."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.money import from_fen
from piaoma.invoice.refusal import refuse
from piaoma.store import Row

from .matching import Match
from .page import Page

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50
FILES_SHOWN = 30
CHUNK = 500  # rows of an export that are read at a time
_UNPAID = "unpaid"  # the list of invoices without a payment, beside the five states
STATES = (*(one.value for one in Match), _UNPAID)


class File(msgspec.Struct, frozen=True):
    """A file as people see it; ``mapped`` once its columns are known. ``known`` payments came with an earlier file."""

    file_id: str
    name: str
    mapped: bool
    payments: int
    known: int
    skipped: int
    made_by: str
    created_at: datetime
    matched_at: datetime | None


class Listed(msgspec.Struct, frozen=True):
    """A payment, or an invoice that has none (``order_number`` empty)."""

    order_number: str
    at: datetime
    amount: Decimal
    state: str
    number: str
    others: tuple[str, ...]
    code_id: int | None


async def file(office: Office, merchant_id: int, file_id: str) -> File:
    """Raises ``Refused`` PAYMENT-FILE-NOT-FOUND."""
    rows = await office.database.read(f"{_FILES} AND file_id = $2", merchant_id, file_id[:40])
    if not rows:
        raise refuse("PAYMENT-FILE-NOT-FOUND")
    return _file(office, rows[0])


_FILES = """
SELECT file_id, name, content IS NULL AS mapped, payments, known, skipped, made_by, created_at_ms, matched_at_ms
FROM payment_files WHERE merchant_id = $1
"""


def _file(office: Office, row: Row) -> File:
    zone = office.now().tzinfo
    matched = row["matched_at_ms"]
    return File(
        row["file_id"], row["name"], bool(row["mapped"]), row["payments"], row["known"], row["skipped"],
        row["made_by"], datetime.fromtimestamp(row["created_at_ms"] / 1000, zone),
        None if matched is None else datetime.fromtimestamp(matched / 1000, zone),
    )  # fmt: skip


async def files(office: Office, merchant_id: int) -> list[File]:
    """The newest files."""
    rows = await office.database.read(
        f"{_FILES} ORDER BY created_at_ms DESC, file_id LIMIT $2", merchant_id, FILES_SHOWN
    )
    return [_file(office, row) for row in rows]


async def counts(office: Office, merchant_id: int, file_id: str) -> dict[str, tuple[int, Decimal]]:
    """How many of each state, and what they come to (yuan)."""
    rows = await office.database.read(
        "SELECT state, count(*), sum(amount_fen) FROM payments WHERE merchant_id = $1 AND file_id = $2 GROUP BY state",
        merchant_id, file_id,
    )  # fmt: skip
    found = {row[0]: (int(row[1]), from_fen(int(row[2]))) for row in rows}
    first, last = await _period(office, merchant_id, file_id)
    rows = await office.database.read(
        f"SELECT count(*), coalesce(sum(i.total_fen), 0) FROM invoices i {_WITHOUT}",  # noqa: S608
        merchant_id,
        first,
        last,
    )
    found[_UNPAID] = (int(rows[0][0]), from_fen(int(rows[0][1])))
    return {state: found.get(state, (0, Decimal("0.00"))) for state in STATES}


async def _period(office: Office, merchant_id: int, file_id: str) -> tuple[int, int]:
    """From the first to the last payment of a file; nothing lies within when it has none."""
    rows = await office.database.read(
        "SELECT min(paid_at_ms), max(paid_at_ms) FROM payments WHERE merchant_id = $1 AND file_id = $2",
        merchant_id, file_id,
    )  # fmt: skip
    return (rows[0][0], rows[0][1]) if rows[0][0] is not None else (0, -1)


_WITHOUT = """
WHERE i.merchant_id = $1 AND i.issued_at_ms BETWEEN $2 AND $3 AND i.total_fen > 0 AND i.taken_fen <> i.total_fen
  AND i.replaces IS NULL
  AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.merchant_id = i.merchant_id AND p.number = i.number)
"""


async def listed(office: Office, merchant_id: int, file_id: str, state: str, skip: int = 0) -> Page[Listed]:
    """Payments of a state in the order of the file, or invoices without one; the cursor is how many came before."""
    rows = await _rows(office, merchant_id, file_id, state, LIST_MAX + 1, skip)
    more = len(rows) > LIST_MAX
    return Page(tuple(rows[:LIST_MAX]), str(skip + LIST_MAX) if more else "")


async def _rows(office: Office, merchant_id: int, file_id: str, state: str, count: int, skip: int) -> list[Listed]:
    zone = office.now().tzinfo
    if state == _UNPAID:
        first, last = await _period(office, merchant_id, file_id)
        rows = await office.database.read(
            f"SELECT i.number, i.issued_at_ms, i.total_fen, i.code_id FROM invoices i {_WITHOUT}"  # noqa: S608
            " ORDER BY i.issued_at_ms, i.number LIMIT $4 OFFSET $5",
            merchant_id, first, last, count, skip,
        )  # fmt: skip
        return [
            Listed("", datetime.fromtimestamp(row[1] / 1000, zone), from_fen(row[2]), state, row[0], (), row[3])
            for row in rows
        ]
    rows = await office.database.read(_LISTED, merchant_id, file_id, state, count, skip)
    return [
        Listed(
            row[0], datetime.fromtimestamp(row[1] / 1000, zone), from_fen(row[2]), row[3], row[4] or "",
            tuple(row[5].split()), row[6],
        )
        for row in rows
    ]  # fmt: skip


_LISTED = """
SELECT order_number, paid_at_ms, amount_fen, state, number, others, code_id FROM payments
WHERE merchant_id = $1 AND file_id = $2 AND state = $3 ORDER BY place, payment_id LIMIT $4 OFFSET $5
"""


async def everything(office: Office, merchant_id: int, file_id: str) -> AsyncIterator[Listed]:
    """All of a file, state by state, invoices without a payment last: what is exported."""
    for state in STATES:
        skip = 0
        while rows := await _rows(office, merchant_id, file_id, state, CHUNK, skip):
            for row in rows:
                yield row
            skip += CHUNK
