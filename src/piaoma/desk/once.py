"""Once (幂等): a request with a key has its effect once, however often it is sent, by whomever, through crashes.

The record is on disk before the request does anything and holds the answer when it has done it. A request that was
refused did nothing and leaves no record: mended, it may come again under the same key. One whose process died is done
again by whoever sends it next; that is safe because what it does carries a key that is made from this one.
"""

from __future__ import annotations

import math
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING

import msgspec
import structlog

from piaoma.invoice.refusal import refuse
from piaoma.store import Transaction, milliseconds, write_block

from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

LEASE_SECONDS = 30  # a request that has run for longer counts as dead
KEPT_DAYS = 7  # that an answer is given again
PURGE_SECONDS = 3_600
PURGE_MAX = 5_000  # records taken away in one turn

_log = structlog.get_logger("piaoma.once")


class Begun(Enum):
    """Whether a request is begun now, or was begun before by a process that died."""

    NEW = "new"
    AGAIN = "again"


NEW, AGAIN = Begun.NEW, Begun.AGAIN


class Kept(msgspec.Struct, frozen=True):
    """An answer that was given before."""

    status: int
    body: bytes


_FIND = """
SELECT digest, lease_until_ms, expires_at_ms, status, answer FROM api_requests t
WHERE merchant_id = $1 AND request_key = $2 {for_update}
"""
_BEGIN = """
INSERT INTO api_requests (merchant_id, request_key, digest, lease_until_ms, expires_at_ms) VALUES ($1, $2, $3, $4, $5)
"""
_AGAIN = "UPDATE api_requests SET lease_until_ms = $3 WHERE merchant_id = $1 AND request_key = $2"
_FINISH = "UPDATE api_requests SET status = $3, answer = $4 WHERE merchant_id = $1 AND request_key = $2"
_FORGET = "DELETE FROM api_requests WHERE merchant_id = $1 AND request_key = $2"


async def begin(office: Office, merchant_id: int, key: str, digest: str) -> Kept | Begun:
    """Take a request up: whether it is to be done now, for the first time or again, or what was answered before.

    Raises ``Refused`` API-IDEMPOTENCY-REUSED when the key was another request's, API-IDEMPOTENCY-RUNNING with the
    seconds to wait while this one is being done.
    """
    find = _FIND.format(for_update=office.database.dialect.for_update)

    async def work(transaction: Transaction) -> Kept | Begun:
        now = office.now()
        now_ms = milliseconds(now)
        lease_ms = milliseconds(now + timedelta(seconds=LEASE_SECONDS))
        rows = await transaction.fetch(find, merchant_id, key)
        if rows and rows[0]["expires_at_ms"] <= now_ms:
            await transaction.execute(_FORGET, merchant_id, key)
            rows = []
        if not rows:
            expires_ms = milliseconds(now + timedelta(days=KEPT_DAYS))
            await transaction.execute(_BEGIN, merchant_id, key, digest, lease_ms, expires_ms)
            return NEW
        row = rows[0]
        if row["digest"] != digest:
            raise refuse("API-IDEMPOTENCY-REUSED")
        if row["status"] is not None:
            return Kept(row["status"], row["answer"].encode())
        if row["lease_until_ms"] > now_ms:
            # Nobody knows how long it takes; most are done within a second.
            seconds = 1 if row["lease_until_ms"] - now_ms > 1000 * (LEASE_SECONDS - 5) else 5
            raise refuse("API-IDEMPOTENCY-RUNNING", seconds=math.ceil(seconds))
        await transaction.execute(_AGAIN, merchant_id, key, lease_ms)
        return AGAIN

    return await write_block(office.database, work)


async def finish(office: Office, merchant_id: int, key: str, kept: Kept) -> None:
    """Keep what is about to be answered."""
    async with office.database.write() as transaction:
        await transaction.execute(_FINISH, merchant_id, key, kept.status, kept.body.decode())


async def forget(office: Office, merchant_id: int, key: str) -> None:
    """A request did nothing: its key is free again."""
    async with office.database.write() as transaction:
        await transaction.execute(_FORGET + " AND status IS NULL", merchant_id, key)


async def let_go(office: Office, merchant_id: int, key: str) -> None:
    """Nobody knows how far a request came: whoever sends it next goes on with it at once."""
    async with office.database.write() as transaction:
        await transaction.execute(_AGAIN, merchant_id, key, 0)


async def release(office: Office) -> None:
    """At the start of the only process of a store: whatever was running died with the one before."""
    async with office.database.write() as transaction:
        await transaction.execute("UPDATE api_requests SET lease_until_ms = 0 WHERE status IS NULL")


async def keep_forgetting(office: Office) -> None:
    """Take away what is kept no longer, until cancelled."""
    await take_turns(_log, PURGE_SECONDS, lambda: forget_old(office))


async def forget_old(office: Office) -> int:
    """One turn; how many records went."""
    rows = await office.database.read(
        "SELECT merchant_id, request_key FROM api_requests WHERE expires_at_ms <= $1 LIMIT $2",
        milliseconds(office.now()), PURGE_MAX,
    )  # fmt: skip
    async with office.database.write() as transaction:
        await transaction.execute_many(_FORGET, sorted((row[0], row[1]) for row in rows))
    return len(rows)
