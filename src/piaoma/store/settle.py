"""The second transaction of a remote issue: what the channel said about an intent (登记结果).

An intent was stored before the channel was called. Here it becomes issued, refused, unknown, or waits to be called
again; each exactly once, whoever asks and however often.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta

import msgspec

from piaoma.invoice.refusal import Refusal
from piaoma.trust import merkle

from .database import Database, Row, Transaction, write_block
from .happenings import ANNOUNCE, announce, issued_values
from .plan import PREFIX_DIGITS, milliseconds, reserved_fen
from .reds import red_issued, red_refused
from .submission import IssueRequest, IssueState, Outcome
from .writer import INSERT_INVOICE, INSERT_JOB, INSERT_PENDING, Sealed, invoice_values, job_values, pending_values

QUERY_DELAYS_S = (2, 4, 8, 15, 30, 60, 300, 900)  # between two questions about one intent; the last repeats
DUE_MAX = 32  # intents handed to the worker at a time


class Intent(msgspec.Struct, frozen=True):
    """An issue whose outcome is open. ``request.issue_key`` is the serial towards the channel."""

    request: IssueRequest
    state: IssueState
    attempts: int


_DUE = """
SELECT request, state, attempts FROM issues
WHERE state IN ('submitted', 'unknown') AND next_query_at_ms <= $1
ORDER BY next_query_at_ms LIMIT $2
"""


async def due_intents(database: Database, now: datetime) -> list[Intent]:
    """The intents that the channel must be called or asked about now."""
    rows = await database.read(_DUE, milliseconds(now), DUE_MAX)
    return [Intent(msgspec.json.decode(row[0], type=IssueRequest), IssueState(row[1]), row[2]) for row in rows]


async def find_intent(database: Database, serial: str, serial_of: Callable[[IssueRequest], str]) -> IssueRequest | None:
    """The open intent of a serial, when an answer comes by itself. Open intents are few, so they are looked through."""
    rows = await database.read("SELECT request FROM issues WHERE state IN ('submitted', 'unknown')")
    for row in rows:
        request = msgspec.json.decode(row[0], type=IssueRequest)
        if serial_of(request) == serial:
            return request
    return None


_LOCK = """
SELECT state, code_id, month, amount_fen, attempts FROM issues t
WHERE merchant_id = $1 AND issue_key = $2 AND state IN ('submitted', 'unknown') {for_update}
"""
_SETTLE = """
UPDATE issues SET state = $3, number = $4, refusal = $5, settled_at_ms = $6, next_query_at_ms = NULL, request = NULL
WHERE merchant_id = $1 AND issue_key = $2
"""
# A number that came with the answer is a block of one, used up: so every number of ours lies in a block.
_BLOCK_OF_ONE = """
INSERT INTO number_blocks (merchant_id, prefix, first_sequence, last_sequence, next_sequence, taken_at_ms)
VALUES ($1, $2, CAST($3 AS BIGINT), CAST($3 AS BIGINT), CAST($3 AS BIGINT) + 1, $4)
"""
_CODE_ISSUED = """
UPDATE codes SET state = 'issued', changed_at_ms = $4 WHERE merchant_id = $1 AND code_id = $2 AND issue_key = $3
"""
# A refused code is free again: nothing was issued, and whoever scans next may try.
_CODE_FREE = """
UPDATE codes SET state = 'open', holder = NULL, issue_key = NULL, refusal = $4, changed_at_ms = $5
WHERE merchant_id = $1 AND code_id = $2 AND issue_key = $3
"""
_LOCK_QUOTA = "SELECT limit_fen FROM quotas t WHERE merchant_id = $1 AND month = $2 {for_update}"
_CONSUME = """
UPDATE quotas SET reserved_fen = reserved_fen - $3, issued_fen = issued_fen + $4 WHERE merchant_id = $1 AND month = $2
"""
_RELEASE = "UPDATE quotas SET reserved_fen = reserved_fen - $3 WHERE merchant_id = $1 AND month = $2"
_WAIT = """
UPDATE issues SET state = $3, attempts = attempts + 1, next_query_at_ms = $4,
                  said = CASE WHEN CAST($5 AS TEXT) = '' THEN said ELSE CAST($5 AS TEXT) END
WHERE merchant_id = $1 AND issue_key = $2
"""
_CODE_WAITS = """
UPDATE codes SET state = $4, changed_at_ms = $5 WHERE merchant_id = $1 AND code_id = $2 AND issue_key = $3
"""


async def settle_issued(database: Database, request: IssueRequest, number: str, sealed: Sealed, now: datetime) -> bool:
    """Record that the channel issued. False when somebody recorded an outcome before; then nothing was changed."""

    async def work(transaction: Transaction) -> bool:
        row = await _lock(transaction, database, request)
        if row is None:
            return False
        await transaction.execute(
            _SETTLE, request.merchant_id, request.issue_key, "issued", number, None, milliseconds(now)
        )
        quota_fen = row["amount_fen"]
        await transaction.execute(_CONSUME, request.merchant_id, row["month"], reserved_fen(quota_fen), quota_fen)
        await transaction.execute_many(INSERT_INVOICE, [invoice_values(request, number, sealed, quota_fen)])
        await red_issued(transaction, request)
        pending = pending_values(request, number, sealed, os.urandom(merkle.HASH_BYTES))
        await transaction.execute_many(INSERT_PENDING, [pending])
        await transaction.execute_many(INSERT_JOB, job_values(request, number))
        await transaction.execute(ANNOUNCE, *issued_values(request, number, now))
        await transaction.execute(
            _BLOCK_OF_ONE,
            request.merchant_id,
            number[:PREFIX_DIGITS],
            int(number[PREFIX_DIGITS:]),
            milliseconds(now),
        )
        if request.code_id is not None:
            await transaction.execute(
                _CODE_ISSUED, request.merchant_id, request.code_id, request.issue_key, milliseconds(now)
            )
        return True

    return await write_block(database, work)


async def settle_refused(database: Database, request: IssueRequest, refusals: Sequence[Refusal], now: datetime) -> bool:
    """Record that the channel refused: the quota is given back and the code is free. False as above."""
    told = msgspec.json.encode(list(refusals)).decode()

    async def work(transaction: Transaction) -> bool:
        row = await _lock(transaction, database, request)
        if row is None:
            return False
        await transaction.execute(
            _SETTLE, request.merchant_id, request.issue_key, "refused", None, told, milliseconds(now)
        )
        await transaction.execute(_RELEASE, request.merchant_id, row["month"], reserved_fen(row["amount_fen"]))
        await red_refused(transaction, request)
        await announce(transaction, request.merchant_id, "invoice.refused", request.issue_key, now)
        if request.code_id is not None:
            await transaction.execute(
                _CODE_FREE, request.merchant_id, request.code_id, request.issue_key, told, milliseconds(now)
            )
        return True

    return await write_block(database, work)


async def keep_waiting(
    database: Database, request: IssueRequest, state: IssueState, now: datetime, said: str = ""
) -> bool:
    """Ask again later. ``SUBMITTED`` means that surely nothing reached the channel, ``UNKNOWN`` that it may have;
    ``said`` is what the channel said, kept until it says something else."""
    assert state in (IssueState.SUBMITTED, IssueState.UNKNOWN), "an open outcome is one of two"

    async def work(transaction: Transaction) -> bool:
        row = await _lock(transaction, database, request)
        if row is None:
            return False
        delay = QUERY_DELAYS_S[min(row["attempts"], len(QUERY_DELAYS_S) - 1)]
        next_at = milliseconds(now + timedelta(seconds=delay))
        await transaction.execute(_WAIT, request.merchant_id, request.issue_key, state.value, next_at, said)
        if request.code_id is not None and row["state"] != state.value:
            await transaction.execute(
                _CODE_WAITS,
                request.merchant_id,
                request.code_id,
                request.issue_key,
                state.value,
                milliseconds(now),
            )
        return True

    return await write_block(database, work)


async def settled(database: Database, request: IssueRequest) -> Outcome:
    """What is recorded of a request that was taken."""
    rows = await database.read(
        "SELECT state, number, refusal FROM issues WHERE merchant_id = $1 AND issue_key = $2",
        request.merchant_id,
        request.issue_key,
    )
    assert rows, "a request that was taken has a row"
    return _outcome(rows[0])


async def earlier_outcome(database: Database, merchant_id: int, issue_key: str, request_digest: str) -> Outcome | None:
    """What became of the same request when it came before, or None."""
    row = await database.read_by_key(
        "SELECT state, number, refusal FROM issues WHERE merchant_id = $1 AND issue_key = $2 AND request_digest = $3",
        merchant_id,
        issue_key,
        request_digest,
    )
    return _outcome(row, repeated=True) if row is not None else None


def _outcome(row: Row, *, repeated: bool = False) -> Outcome:
    refusals = msgspec.json.decode(row[2], type=tuple[Refusal, ...]) if row[2] else ()
    return Outcome(IssueState(row[0]), row[1], refusals, repeated)


async def _lock(transaction: Transaction, database: Database, request: IssueRequest) -> Row | None:
    """The open intent, locked after its quota row as everywhere, or None when it is settled already."""
    for_update = database.dialect.for_update
    month = await transaction.fetch(
        "SELECT month FROM issues WHERE merchant_id = $1 AND issue_key = $2",
        request.merchant_id,
        request.issue_key,
    )
    if not month:
        return None
    await transaction.fetch(_LOCK_QUOTA.format(for_update=for_update), request.merchant_id, month[0][0])
    rows = await transaction.fetch(_LOCK.format(for_update=for_update), request.merchant_id, request.issue_key)
    return rows[0] if rows else None
