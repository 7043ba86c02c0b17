"""Records (发票记录): finding an invoice, its original, today's figures."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.money import from_fen
from piaoma.invoice.refusal import refuse
from piaoma.store import Row, milliseconds

from .filters import Conditions, Filter
from .page import Page, cut, resume

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50
DAYS_SHOWN = 14
DAY_MS = 86_400_000  # Asia/Shanghai has no summer time


class Invoice(msgspec.Struct, frozen=True):
    """A row of the list. Money in yuan; ``issued_at`` aware, Asia/Shanghai."""

    merchant_id: int
    number: str
    kind: InvoiceKind
    buyer_name: str
    buyer_id: str
    amount: Decimal
    tax: Decimal
    total: Decimal
    summary: str
    remark: str
    issued_at: datetime
    code_id: int | None


class Found(msgspec.Struct, frozen=True):
    """A page of invoices, and count and sum over all pages."""

    page: Page[Invoice]
    count: int
    total: Decimal


class Today(msgspec.Struct, frozen=True):
    """The figures of the first page of the console."""

    issued_count: int
    issued_total: Decimal
    codes_count: int
    open_count: int
    pending_count: int
    dead_jobs: int
    days: tuple[tuple[date, Decimal], ...]


_COLUMNS = """merchant_id, number, kind, buyer_name, buyer_id, amount_fen, tax_fen, total_fen, summary, remark,
              issued_at_ms, code_id"""


def _invoice(office: Office, row: Row) -> Invoice:
    return Invoice(
        merchant_id=row["merchant_id"],
        number=row["number"],
        kind=InvoiceKind(row["kind"]),
        buyer_name=row["buyer_name"],
        buyer_id=row["buyer_id"],
        amount=from_fen(row["amount_fen"]),
        tax=from_fen(row["tax_fen"]),
        total=from_fen(row["total_fen"]),
        summary=row["summary"],
        remark=row["remark"],
        issued_at=datetime.fromtimestamp(row["issued_at_ms"] / 1000, office.now().tzinfo),
        code_id=row["code_id"],
    )


async def invoice(office: Office, merchant_id: int, number: str) -> Invoice:
    """Raises ``Refused`` INVOICE-NOT-FOUND."""
    row = await office.database.read_by_key(
        f"SELECT {_COLUMNS} FROM invoices WHERE merchant_id = $1 AND number = $2",  # noqa: S608
        merchant_id, number,
    )  # fmt: skip
    if row is None:
        raise refuse("INVOICE-NOT-FOUND")
    return _invoice(office, row)


async def original(office: Office, merchant_id: int, number: str) -> bytes:
    """The signed XML as it was issued. Raises ``Refused`` INVOICE-NOT-FOUND."""
    row = await office.database.read_by_key(
        "SELECT original FROM invoices WHERE merchant_id = $1 AND number = $2", merchant_id, number
    )
    if row is None:
        raise refuse("INVOICE-NOT-FOUND")
    return bytes(row[0])


async def search_invoices(office: Office, merchant_id: int, wanted: Filter, cursor: str = "") -> Found:
    """Invoices of a merchant that fit, newest first, fifty a page, with count and sum over all."""
    where = _conditions(merchant_id, wanted)
    values = where.values
    totals = await office.database.read(
        f"SELECT count(*), coalesce(sum(total_fen), 0) FROM invoices WHERE {where}",  # noqa: S608
        *values,
    )
    before_ms, before_number = resume(cursor)
    place = len(values)
    rows = await office.database.read(
        f"SELECT {_COLUMNS} FROM invoices WHERE {where}"  # noqa: S608
        f" AND (issued_at_ms < ${place + 1} OR (issued_at_ms = ${place + 1} AND number < ${place + 2}))"
        f" ORDER BY issued_at_ms DESC, number DESC LIMIT ${place + 3}",
        *values, before_ms, f"{before_number:020d}", LIST_MAX + 1,
    )  # fmt: skip
    found = [_invoice(office, row) for row in rows]
    page = cut(found, LIST_MAX, lambda one: (milliseconds(one.issued_at), int(one.number)))
    return Found(page, totals[0][0], from_fen(int(totals[0][1])))


def _conditions(merchant_id: int, wanted: Filter) -> Conditions:
    conditions = Conditions("merchant_id = {0}", merchant_id)
    conditions.add_text(wanted.text, ("number", "buyer_name", "buyer_id", "summary", "remark"))
    if wanted.since is not None:
        conditions.add("issued_on >= {0}", wanted.since.isoformat())
    if wanted.until is not None:
        conditions.add("issued_on <= {0}", wanted.until.isoformat())
    conditions.add_totals(wanted, "total_fen")
    return conditions


async def latest(office: Office, merchant_id: int, count: int) -> list[Invoice]:
    """The newest invoices, without counting all."""
    rows = await office.database.read(
        f"SELECT {_COLUMNS} FROM invoices WHERE merchant_id = $1 ORDER BY issued_at_ms DESC, number DESC LIMIT $2",  # noqa: S608
        merchant_id, count,
    )  # fmt: skip
    return [_invoice(office, row) for row in rows]


async def today(office: Office, merchant_id: int) -> Today:
    """Today's figures, and the sum of each of the last fourteen days."""
    now = office.now()
    day = now.date()
    first = day - timedelta(days=DAYS_SHOWN - 1)
    midnight_ms = milliseconds(now.replace(hour=0, minute=0, second=0))
    days = await office.database.read(
        "SELECT issued_on, count(*), sum(total_fen) FROM invoices"
        " WHERE merchant_id = $1 AND issued_at_ms >= $2 GROUP BY issued_on",
        merchant_id, midnight_ms - (DAYS_SHOWN - 1) * DAY_MS,
    )  # fmt: skip
    by_day = {row[0]: (int(row[1]), int(row[2])) for row in days}
    codes = await office.database.read(
        "SELECT count(*), coalesce(sum(CASE WHEN state = 'open' THEN 1 ELSE 0 END), 0) FROM codes"
        " WHERE merchant_id = $1 AND created_at_ms >= $2",
        merchant_id, midnight_ms,
    )  # fmt: skip
    pending = await office.database.read(
        "SELECT count(*) FROM issues WHERE merchant_id = $1 AND state IN ('submitted', 'unknown')",
        merchant_id,
    )
    dead = await office.database.read(
        "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND state = 'dead'", merchant_id
    )
    count, total = by_day.get(day.isoformat(), (0, 0))
    shown = tuple(
        (moment, from_fen(by_day.get(moment.isoformat(), (0, 0))[1]))
        for moment in (first + timedelta(days=offset) for offset in range(DAYS_SHOWN))
    )
    return Today(count, from_fen(total), codes[0][0], int(codes[0][1]), pending[0][0], dead[0][0], shown)


async def invoices_of(office: Office, keys: Sequence[tuple[int, str]]) -> list[tuple[Invoice, str]]:
    """Invoices by merchant and number, each with its shop's name, newest first; one that is not there is left out."""
    if not keys:
        return []
    statement = _INVOICES_OF.format(keys=office.database.dialect.int_text_keys)
    rows = await office.database.read(statement, json.dumps(keys))
    found = [(_invoice(office, row), str(row["shop_name"])) for row in rows]
    return sorted(found, key=lambda each: (each[0].issued_at, each[0].number), reverse=True)


_INVOICES_OF = f"""
SELECT {", ".join("t." + column.strip() for column in _COLUMNS.split(","))}, m.shop_name
FROM {{keys}} CROSS JOIN invoices t CROSS JOIN merchants m
WHERE t.merchant_id = k.a AND t.number = k.b AND m.merchant_id = t.merchant_id
"""  # noqa: S608
