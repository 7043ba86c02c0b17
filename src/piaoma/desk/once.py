"""Once (幂等): a request with a key has its effect once, however often it is sent, by whomever, through crashes.

The record is on disk before the request does anything and holds the answer when it has done it. A request that was
refused did nothing and leaves no record: mended, it may come again under the same key. One whose process died is done
again by whoever sends it next; that is safe because what it does carries a key that is made from this one.

Records that wait are written together, as invoices are: three hundred tills at once are a few commits.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta
from enum import Enum
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from piaoma.invoice.refusal import Refused, refuse
from piaoma.store import Transaction, milliseconds, write_block

from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

LEASE_SECONDS = 30  # a request that has run for longer counts as dead
KEPT_DAYS = 7  # that an answer is given again
BATCH_MAX = 128  # records in one transaction
PURGE_SECONDS = 3_600
_LONG_SECONDS = 5  # a request that runs for longer is asked after less often

_log = structlog.get_logger("piaoma.once")


class Begun(Enum):
    """Whether a request is begun now, or was begun before by a process that died."""

    NEW = "new"
    AGAIN = "again"


class Kept(msgspec.Struct, frozen=True):
    """An answer that was given before."""

    status: int
    body: bytes


class _Record(msgspec.Struct):
    """A row: ``kept`` once the request is done; ``stored`` whether it is on disk already, ``gone`` when it must go."""

    digest: str
    lease_until_ms: int
    expires_at_ms: int
    kept: Kept | None = None
    stored: bool = False
    gone: bool = False


class _Ask(msgspec.Struct, frozen=True):
    """What is to be done with the record of a key. ``digest`` begins a request, ``kept`` finishes it; neither gives it
    up: ``undone`` when it did nothing, else nobody knows."""

    merchant_id: int
    key: str
    digest: str = ""
    kept: Kept | None = None
    undone: bool = False


Answer = Begun | Kept | Refused | None


class Once:
    """The book of requests. Use ``async with``; then from any number of tasks."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._queue: asyncio.Queue[tuple[_Ask, asyncio.Future[Answer]]] = asyncio.Queue()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Once:
        self._task = asyncio.create_task(self._run(), name="once")
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        while not self._queue.empty():
            self._queue.get_nowait()[1].cancel()

    async def begin(self, merchant_id: int, key: str, digest: str) -> Kept | Begun:
        """Take a request up: whether it is to be done now, for the first time or again, or what was answered before.

        Raises ``Refused`` API-IDEMPOTENCY-REUSED when the key was another request's, API-IDEMPOTENCY-RUNNING with the
        seconds to wait while this one is being done.
        """
        answer = await self._ask(_Ask(merchant_id, key, digest))
        if isinstance(answer, Refused):
            raise answer
        assert answer is not None, "what is begun has an answer"
        return answer

    async def finish(self, merchant_id: int, key: str, kept: Kept) -> None:
        """Keep what is about to be answered."""
        await self._ask(_Ask(merchant_id, key, kept=kept))

    async def forget(self, merchant_id: int, key: str) -> None:
        """A request did nothing: its key is free again."""
        await self._ask(_Ask(merchant_id, key, undone=True))

    async def let_go(self, merchant_id: int, key: str) -> None:
        """Nobody knows how far a request came: whoever sends it next goes on with it at once."""
        await self._ask(_Ask(merchant_id, key))

    async def _ask(self, ask: _Ask) -> Answer:
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._queue.put_nowait((ask, answer))
        return await answer

    async def _run(self) -> None:
        while True:
            batch = [await self._queue.get()]
            while len(batch) < BATCH_MAX and not self._queue.empty():
                batch.append(self._queue.get_nowait())
            try:
                answers = await self._write([ask for ask, _ in batch])
            except Exception as error:
                _log.exception("once")
                for _, waiting in batch:
                    if not waiting.done():
                        waiting.set_exception(error)
                continue
            for (_, waiting), answer in zip(batch, answers, strict=True):
                if not waiting.done():
                    waiting.set_result(answer)

    async def _write(self, asks: Sequence[_Ask]) -> list[Answer]:
        dialect = self._office.database.dialect
        find = _FIND.format(keys=dialect.int_text_keys, for_update=dialect.for_update)
        now = self._office.now()
        now_ms = milliseconds(now)
        lease_ms, expires_ms = (
            milliseconds(now + span) for span in (timedelta(seconds=LEASE_SECONDS), timedelta(days=KEPT_DAYS))
        )

        async def work(transaction: Transaction) -> list[Answer]:
            keys = sorted({(ask.merchant_id, ask.key) for ask in asks})
            records = {
                (row[0], row[1]): _Record(
                    row[2], row[3], row[4], None if row[5] is None else Kept(row[5], row[6].encode()), stored=True
                )
                for row in await transaction.fetch(find, json.dumps(keys))
            }  # fmt: skip
            answers = [decide(records, ask, now_ms, lease_ms, expires_ms) for ask in asks]
            await _store(transaction, records)
            return answers

        return await write_block(self._office.database, work)


def decide(records: dict[tuple[int, str], _Record], ask: _Ask, now_ms: int, lease_ms: int, expires_ms: int) -> Answer:
    """What becomes of one ask; ``records`` are changed, so that later asks of a batch see earlier ones."""
    place = (ask.merchant_id, ask.key)
    record = records.get(place)
    if not ask.digest:
        if record is not None and not record.gone and record.kept is None:
            record.kept, record.gone, record.lease_until_ms = ask.kept, ask.undone, 0
        return None
    if record is None or record.gone or record.expires_at_ms <= now_ms:
        stored = record is not None and record.stored
        records[place] = _Record(ask.digest, lease_ms, expires_ms, stored=stored)
        return Begun.NEW
    if record.digest != ask.digest:
        return refuse("API-IDEMPOTENCY-REUSED")
    if record.kept is not None:
        return record.kept
    if record.lease_until_ms > now_ms:
        # Nobody knows how long it takes; most are done within a second.
        young = lease_ms - record.lease_until_ms < 1000 * _LONG_SECONDS
        return refuse("API-IDEMPOTENCY-RUNNING", seconds=1 if young else _LONG_SECONDS)
    record.lease_until_ms = lease_ms
    return Begun.AGAIN


async def _store(transaction: Transaction, records: dict[tuple[int, str], _Record]) -> None:
    """Write what was decided. A record that another process began meanwhile is a conflict, and all is decided again."""

    def values(record: _Record) -> tuple[Any, ...]:
        kept = record.kept
        told = (None, None) if kept is None else (kept.status, kept.body.decode())
        return record.digest, record.lease_until_ms, record.expires_at_ms, *told

    standing = sorted((place, record) for place, record in records.items() if not record.gone)
    fresh = [(*place, *values(record)) for place, record in standing if not record.stored]
    changed = [(*place, *values(record)) for place, record in standing if record.stored]
    gone = sorted(place for place, record in records.items() if record.gone and record.stored)
    for statement, rows in ((_INSERT, fresh), (_UPDATE, changed)):
        if rows:
            await transaction.execute_many(statement, rows)
    for place in gone:
        await transaction.execute(_DELETE, *place)


_FIND = """
SELECT t.merchant_id, t.request_key, t.digest, t.lease_until_ms, t.expires_at_ms, t.status, t.answer
FROM {keys} CROSS JOIN api_requests t WHERE t.merchant_id = k.a AND t.request_key = k.b
ORDER BY t.merchant_id, t.request_key {for_update}
"""
_INSERT = """
INSERT INTO api_requests (merchant_id, request_key, digest, lease_until_ms, expires_at_ms, status, answer)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_UPDATE = """
UPDATE api_requests SET digest = $3, lease_until_ms = $4, expires_at_ms = $5, status = $6, answer = $7
WHERE merchant_id = $1 AND request_key = $2
"""
OLD = "DELETE FROM api_requests WHERE expires_at_ms <= $1"
_DELETE = "DELETE FROM api_requests WHERE merchant_id = $1 AND request_key = $2"


async def release(office: Office) -> None:
    """At the start of the only process of a store: whatever was running died with the one before."""
    async with office.database.write() as transaction:
        await transaction.execute("UPDATE api_requests SET lease_until_ms = 0 WHERE status IS NULL")


async def keep_forgetting(office: Office) -> None:
    """Take away what is kept no longer, until cancelled."""
    await take_turns(_log, PURGE_SECONDS, lambda: forget_old(office))


async def forget_old(office: Office) -> int:
    """One turn; how many records went."""
    async with office.database.write() as transaction:
        return await transaction.execute(OLD, milliseconds(office.now()))
