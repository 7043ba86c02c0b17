"""Payments (流水, 对账): a till's or provider's file taken in once, each payment once, and held against invoices."""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from piaoma.documents.statement import STATEMENT_BYTES_MAX, STATEMENT_SECONDS_MAX, Statement, read_statement
from piaoma.documents.workers import WorkerFailed
from piaoma.invoice.refusal import refuse
from piaoma.store import Transaction, WriteConflict, milliseconds, write_block

from . import matching
from .events import Actor, record
from .matching import Payment, Sale
from .payment_lists import file
from .payment_rows import payments_of

if TYPE_CHECKING:
    from .office import Office

FILES_MAX = 500  # of a merchant
NAME_MAX = 100  # characters of a file's name
SALES_MAX = 200_000  # that are looked at for one file
CHUNK = 500


async def take_in(office: Office, by: Actor, name: str, data: bytes) -> str:
    """Take a file in; its id. Where a file with such columns was taken in before, its payments are matched at once.

    Raises ``Refused`` PAYMENT-FILE-… , PAYMENT-FILE-TWICE for one that is here already.
    """
    statement = await _read(office, data)
    digest, now = hashlib.sha256(data).hexdigest(), office.now()
    file_id = secrets.token_hex(8)
    kept = re.sub(r"[\x00-\x1f/\\]", "", name)[-NAME_MAX:] or "—"

    try:
        async with office.database.write() as transaction:
            counted = await transaction.fetch(
                "SELECT count(*) FROM payment_files WHERE merchant_id = $1", by.merchant_id
            )
            if counted[0][0] >= FILES_MAX:
                raise refuse("PAYMENT-FILES-MANY", "file", max=FILES_MAX)
            await transaction.execute(
                _ADD_FILE, by.merchant_id, file_id, kept, digest, _mark(statement.head), data, by.name,
                milliseconds(now),
            )  # fmt: skip
            await record(transaction, by, now, "payment.upload", kept)
    except WriteConflict:
        raise refuse("PAYMENT-FILE-TWICE", "file") from None
    known = await _known_columns(office, by.merchant_id, statement.head)
    if known is not None:
        await _import(office, by, file_id, statement, known)
    return file_id


_ADD_FILE = """
INSERT INTO payment_files (merchant_id, file_id, name, digest, head, content, made_by, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def _read(office: Office, data: bytes) -> Statement:
    """In a worker: a hostile file ends that, and nothing else."""
    if not data:
        raise refuse("PAYMENT-FILE-NONE", "file")
    if len(data) > STATEMENT_BYTES_MAX:
        raise refuse("PAYMENT-FILE-LARGE", "file", have=f"{len(data)} B", max=f"{STATEMENT_BYTES_MAX} B")
    try:
        return await office.checkers.run(STATEMENT_SECONDS_MAX, read_statement, data)
    except WorkerFailed as failed:
        raise refuse("PAYMENT-FILE-FORMAT", "file", have=failed.reason) from None


async def waiting_columns(office: Office, merchant_id: int, file_id: str) -> Statement | None:
    """What a file holds whose columns are not known yet; None when they are. Raises PAYMENT-FILE-NOT-FOUND."""
    row = await office.database.read_by_key(
        "SELECT content FROM payment_files WHERE merchant_id = $1 AND file_id = $2", merchant_id, file_id[:40]
    )
    if row is None:
        raise refuse("PAYMENT-FILE-NOT-FOUND")
    return None if row[0] is None else await _read(office, bytes(row[0]))


async def choose_columns(office: Office, by: Actor, file_id: str, columns: Mapping[str, int]) -> None:
    """Say which column is what; kept for all files with the same head. Raises PAYMENT-COLUMNS when no row of the file
    has a time and an amount there."""
    statement = await waiting_columns(office, by.merchant_id, file_id)
    if statement is None:
        await match_again(office, by, file_id)
        return
    chosen = {what: place for what, place in columns.items() if 0 <= place < len(statement.head)}
    if "time" not in chosen or "amount" not in chosen:
        raise refuse("PAYMENT-COLUMNS", "time" if "time" not in chosen else "amount")
    await _import(office, by, file_id, statement, chosen)


async def _known_columns(office: Office, merchant_id: int, head: Sequence[str]) -> dict[str, int] | None:
    rows = await office.database.read(
        "SELECT columns FROM payment_columns WHERE merchant_id = $1 AND head = $2", merchant_id, _mark(head)
    )
    return msgspec.json.decode(rows[0][0], type=dict[str, int]) if rows else None


def _mark(head: Sequence[str]) -> str:
    return hashlib.sha256("\n".join(head).encode()).hexdigest()


async def _import(office: Office, by: Actor, file_id: str, statement: Statement, columns: Mapping[str, int]) -> None:
    """Store the payments that are not here yet, let the file's bytes go, remember the columns, match."""
    found, skipped = payments_of(statement, columns, office.now())
    if not found:
        raise refuse("PAYMENT-COLUMNS", "amount")
    merchant_id = by.merchant_id

    async def work(transaction: Transaction) -> None:
        before = await _stored(office, transaction, merchant_id, [one.payment_id for one in found])
        fresh = [(place, one) for place, one in enumerate(found) if one.payment_id not in before]
        await transaction.execute_many(
            _ADD,
            [
                (merchant_id, one.payment_id, file_id, place, one.order_number, one.paid_at_ms, one.amount_fen)
                for place, one in fresh
            ],
        )
        await transaction.execute(
            "UPDATE payment_files SET content = NULL, payments = $3, known = $4, skipped = $5"
            " WHERE merchant_id = $1 AND file_id = $2",
            merchant_id, file_id, len(fresh), len(found) - len(fresh), skipped,
        )  # fmt: skip
        await transaction.execute(
            _KEEP_COLUMNS, merchant_id, _mark(statement.head), msgspec.json.encode(dict(columns)).decode()
        )
        told = {"payments": len(fresh), "known": len(found) - len(fresh), "skipped": skipped}
        await record(transaction, by, office.now(), "payment.import", file_id, after=told)

    await write_block(office.database, work)
    await _match(office, merchant_id, file_id)


_ADD = """
INSERT INTO payments (merchant_id, payment_id, file_id, place, order_number, paid_at_ms, amount_fen, state)
VALUES ($1, $2, $3, $4, $5, $6, $7, 'missing')
"""
_KEEP_COLUMNS = """
INSERT INTO payment_columns (merchant_id, head, columns) VALUES ($1, $2, $3)
ON CONFLICT (merchant_id, head) DO UPDATE SET columns = excluded.columns
"""
_STORED = """
SELECT t.payment_id FROM {keys} CROSS JOIN payments t WHERE t.merchant_id = k.a AND t.payment_id = k.b
"""


async def _stored(office: Office, transaction: Transaction, merchant_id: int, ids: Sequence[str]) -> set[str]:
    statement = _STORED.format(keys=office.database.dialect.int_text_keys)
    found: set[str] = set()
    for start in range(0, len(ids), CHUNK):
        keys = json.dumps([(merchant_id, one) for one in ids[start : start + CHUNK]])
        found |= {row[0] for row in await transaction.fetch(statement, keys)}
    return found


async def match_again(office: Office, by: Actor, file_id: str) -> None:
    """Match a file's payments anew: invoices were issued meanwhile. Raises PAYMENT-FILE-NOT-FOUND."""
    found = await file(office, by.merchant_id, file_id)
    async with office.database.write() as transaction:
        await record(transaction, by, office.now(), "payment.match", found.name)
    await _match(office, by.merchant_id, file_id)


async def _match(office: Office, merchant_id: int, file_id: str) -> None:
    rows = await office.database.read(
        "SELECT payment_id, order_number, paid_at_ms, amount_fen FROM payments WHERE merchant_id = $1"
        " AND file_id = $2 ORDER BY place",
        merchant_id, file_id,
    )  # fmt: skip
    payments = [Payment(row[0], row[1], row[2], row[3]) for row in rows]
    if not payments:
        return
    times = [one.paid_at_ms for one in payments]
    first, last = min(times) - matching.BEFORE_MS, max(times) + matching.AFTER_MS
    found = matching.match(payments, await _sales(office, merchant_id, file_id, first, last))
    async with office.database.write() as transaction:
        await transaction.execute_many(_SETTLE, [_settled(merchant_id, key, one) for key, one in found.items()])
        await transaction.execute(
            "UPDATE payment_files SET matched_at_ms = $3 WHERE merchant_id = $1 AND file_id = $2",
            merchant_id, file_id, milliseconds(office.now()),
        )  # fmt: skip


def _settled(merchant_id: int, payment_id: str, one: matching.Matched) -> tuple[object, ...]:
    number = one.sale.number or None if one.sale else None
    code_id = one.sale.code_id if one.sale else None
    return merchant_id, payment_id, one.state.value, number, " ".join(one.others), code_id


_SETTLE = """
UPDATE payments SET state = $3, number = $4, others = $5, code_id = $6 WHERE merchant_id = $1 AND payment_id = $2
"""
# What was taken back as a whole pays for nothing any more; the invoice that took its place stands where that one did.
_INVOICES = """
SELECT i.number, i.code_id, i.total_fen, coalesce(c.created_at_ms, o.issued_at_ms, i.issued_at_ms) AS at_ms,
       c.mint_key, i.issue_key, i.remark
FROM invoices i
LEFT JOIN codes c ON c.merchant_id = i.merchant_id AND c.code_id = i.code_id
LEFT JOIN invoices o ON o.merchant_id = i.merchant_id AND o.number = i.replaces
WHERE i.merchant_id = $1 AND coalesce(c.created_at_ms, o.issued_at_ms, i.issued_at_ms) BETWEEN $2 AND $3
  AND i.issued_at_ms >= $2 AND (i.taken_fen = 0 OR i.taken_fen <> i.total_fen)
  AND NOT EXISTS (SELECT 1 FROM payments p WHERE p.merchant_id = i.merchant_id AND p.number = i.number
                  AND p.file_id <> $4)
ORDER BY i.issued_at_ms LIMIT $5
"""
_CODES = """
SELECT code_id, total_fen, created_at_ms, mint_key FROM codes
WHERE merchant_id = $1 AND created_at_ms BETWEEN $2 AND $3 AND state IN ('open', 'submitted', 'unknown')
ORDER BY created_at_ms LIMIT $4
"""


async def _sales(office: Office, merchant_id: int, file_id: str, first: int, last: int) -> list[Sale]:
    rows = await office.database.read(_INVOICES, merchant_id, first, last, file_id, SALES_MAX)
    sales = [
        Sale(row[0], row[1], row[2], row[3], (row[4] or "", row[5], *re.findall(r"[\w-]+", row[6], re.ASCII)))
        for row in rows
    ]
    rows = await office.database.read(_CODES, merchant_id, first, last, SALES_MAX)
    return sales + [Sale("", row[0], row[1], row[2], (row[3],)) for row in rows]


async def remove(office: Office, by: Actor, file_id: str) -> None:
    """Let a file go with the payments that came with it, and what was said of its columns: it was a wrong one, or its
    columns were mistaken."""
    found = await file(office, by.merchant_id, file_id)
    async with office.database.write() as transaction:
        await transaction.execute(
            "DELETE FROM payment_columns WHERE merchant_id = $1 AND head IN"
            " (SELECT head FROM payment_files WHERE merchant_id = $1 AND file_id = $2)",
            by.merchant_id, found.file_id,
        )  # fmt: skip
        for table in ("payments", "payment_files"):
            await transaction.execute(
                f"DELETE FROM {table} WHERE merchant_id = $1 AND file_id = $2",  # noqa: S608
                by.merchant_id, found.file_id,
            )  # fmt: skip
        await record(transaction, by, office.now(), "payment.remove", found.name, before={"payments": found.payments})
