"""The outbox worker (待办): does what must follow an invoice, at least once, under stable ids.

A job is leased, carried, and marked done; a worker that dies leaves a lease that runs out. What fails is tried again
with exponential back-off and jitter; what fails for good is dead, visibly, with its reason, and can be tried again.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Protocol

import msgspec
import structlog

from piaoma.store import Database, milliseconds

LEASE_MS = 60_000
BATCH_MAX = 500
BACKOFF_FIRST_MS, BACKOFF_MAX_MS = 2_000, 3_600_000
IDLE_SECONDS = 0.5
TOGETHER_MAX = 3  # tries of a batch as a whole, before its parts are tried
REASON_MAX = 200  # characters

_ADDRESS = re.compile(r"[^\s<>(),;:\"']+@[^\s<>(),;:\"']+")

_log = structlog.get_logger("piaoma.delivery")


class Job(msgspec.Struct, frozen=True):
    """One thing to do for one invoice. ``job_id`` is the same at every try."""

    merchant_id: int
    job_id: str
    kind: str
    number: str
    target: str
    attempts: int


class Undeliverable(Exception):
    """Trying again cannot help; the text says why, without personal data."""


class Carrier(Protocol):
    """Carries jobs of one kind. Raises ``Undeliverable``, or anything else when it may work later."""

    batch_max: int
    attempts_max: int | None  # None: as long as it takes
    leased: bool  # False where carrying twice at once does no harm, which saves a write for each job

    async def carry(self, jobs: Sequence[Job]) -> None: ...


_DUE = """
SELECT merchant_id, job_id, kind, number, target, attempts FROM {table}
WHERE state = 'waiting' AND kind = $1 AND next_at_ms <= $2 AND lease_until_ms <= $2
ORDER BY next_at_ms LIMIT $3 {skip_locked}
"""
_LEASE = """
UPDATE {table} SET lease_until_ms = $3, attempts = attempts + 1 WHERE merchant_id = $1 AND job_id = $2
"""
_DONE = """
UPDATE {table} SET state = 'done', done_at_ms = $3, attempts = $4, lease_until_ms = 0, last_error = ''
WHERE merchant_id = $1 AND job_id = $2 AND state = 'waiting'
"""
_FAILED = """
UPDATE {table} SET state = $3, next_at_ms = $4, attempts = $5, lease_until_ms = 0, last_error = $6
WHERE merchant_id = $1 AND job_id = $2 AND state = 'waiting'
"""


class Outbox:
    """Works through the jobs of all merchants; several processes may run one each.

    ``table`` is ``jobs``, what must follow invoices, or ``notices``, mails to people: both have these columns.
    """

    def __init__(
        self, database: Database, carriers: Mapping[str, Carrier], now: Callable[[], datetime], table: str = "jobs"
    ) -> None:
        self._database = database
        self._table = table
        self._carriers = carriers
        self._now = now

    async def run(self) -> None:
        """Work until cancelled. What goes wrong with the store itself is logged and tried again."""
        while True:
            try:
                more = await self.work_once()
            except Exception:
                _log.exception("outbox")
                more = False
            await asyncio.sleep(0 if more else IDLE_SECONDS)

    async def work_once(self) -> bool:
        """Do what is due now, one batch of each kind; whether there may be more.

        A batch that is not full was all there was: what comes meanwhile gathers for the next, so that under load the
        jobs of many invoices share their transactions.
        """
        more = False
        for kind, carrier in self._carriers.items():
            batch_max = min(BATCH_MAX, carrier.batch_max)
            jobs = await self._lease(kind, batch_max) if carrier.leased else await self._due(kind, batch_max)
            if jobs:
                await self._carry(carrier, jobs)
            more = more or len(jobs) == batch_max
        return more

    async def _due(self, kind: str, count: int) -> list[Job]:
        rows = await self._database.read(
            _DUE.format(table=self._table, skip_locked=""), kind, milliseconds(self._now()), count
        )
        return [Job(row[0], row[1], row[2], row[3], row[4], row[5] + 1) for row in rows]

    async def _lease(self, kind: str, count: int) -> list[Job]:
        if not await self._due(kind, 1):
            return []
        now_ms = milliseconds(self._now())
        skip = "FOR UPDATE SKIP LOCKED" if self._database.dialect.for_update else ""
        async with self._database.write() as transaction:
            rows = await transaction.fetch(_DUE.format(table=self._table, skip_locked=skip), kind, now_ms, count)
            leases = [(row[0], row[1], now_ms + LEASE_MS) for row in rows]
            if leases:
                await transaction.execute_many(_LEASE.format(table=self._table), leases)
        return [Job(row[0], row[1], row[2], row[3], row[4], row[5] + 1) for row in rows]

    async def _carry(self, carrier: Carrier, jobs: list[Job]) -> None:
        try:
            await carrier.carry(jobs)
        except Exception as error:
            if len(jobs) > 1 and (isinstance(error, Undeliverable) or max(job.attempts for job in jobs) > TOGETHER_MAX):
                # One that cannot be delivered must not take the others with it: halves find it in a few calls.
                half = len(jobs) // 2
                await self._carry(carrier, jobs[:half])
                await self._carry(carrier, jobs[half:])
                return
            await self._failed(carrier, jobs, error)
            return
        now_ms = milliseconds(self._now())
        # In the order of their keys, so that two processes that did the same jobs do not wait for each other.
        done = sorted((job.merchant_id, job.job_id, now_ms, job.attempts) for job in jobs)
        async with self._database.write() as transaction:
            await transaction.execute_many(_DONE.format(table=self._table), done)

    async def _failed(self, carrier: Carrier, jobs: list[Job], error: Exception) -> None:
        reason = reason_of(error)
        now_ms = milliseconds(self._now())
        rows = []
        for job in jobs:
            worn_out = carrier.attempts_max is not None and job.attempts >= carrier.attempts_max
            dead = isinstance(error, Undeliverable) or worn_out
            next_at_ms = now_ms + backoff_ms(job.attempts)
            rows.append((job.merchant_id, job.job_id, "dead" if dead else "waiting", next_at_ms, job.attempts, reason))
            _log.warning("job failed", job=job.job_id, kind=job.kind, attempts=job.attempts, dead=dead, reason=reason)
        async with self._database.write() as transaction:
            await transaction.execute_many(_FAILED.format(table=self._table), sorted(rows))


def reason_of(error: Exception) -> str:
    """Why a delivery failed, as logs and lists may show it: whatever a server answered, no address is in it."""
    return _ADDRESS.sub("…@…", f"{type(error).__name__}: {error}")[:REASON_MAX]


def backoff_ms(attempts: int) -> int:
    """How long to wait after so many tries: doubling from two seconds to an hour, half of it drawn by chance."""
    full: int = min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** max(0, attempts - 1))
    return full // 2 + random.randrange(full // 2 + 1)  # noqa: S311 - spreads retries, no secret
