"""Dead letters (死信): deliveries and notices that failed for good, over all merchants, and letting them go again."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from piaoma.delivery import masked
from piaoma.invoice.refusal import refuse
from piaoma.store import milliseconds

from .events import Actor, record
from .notices import NOBODY
from .platform_trail import record_act
from .sessions import Session

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 100
_TABLES = ("jobs", "notices")


class Queue(msgspec.Struct, frozen=True):
    """A queue of the outbox: ``oldest`` is when the longest waiting was made, None when nothing waits."""

    name: str
    waiting: int
    retried: int
    dead: int
    oldest: datetime | None


class DeadLetter(msgspec.Struct, frozen=True):
    """A job that nobody tries any more: to whom (masked), why, how often it was tried."""

    table: str
    merchant_id: int
    merchant_name: str
    job_id: str
    kind: str
    target: str
    reason: str
    attempts: int
    made_at: datetime


async def queues(office: Office) -> list[Queue]:
    """How long the queues are."""
    found, zone = [], office.now().tzinfo
    for table in _TABLES:
        rows = await office.database.read(
            "SELECT kind, sum(CASE WHEN state = 'waiting' THEN 1 ELSE 0 END),"  # noqa: S608
            " sum(CASE WHEN state = 'waiting' AND attempts > 0 THEN 1 ELSE 0 END),"
            " sum(CASE WHEN state = 'dead' THEN 1 ELSE 0 END),"
            " min(CASE WHEN state = 'waiting' THEN created_at_ms END)"
            f" FROM {table} WHERE state <> 'done' GROUP BY kind ORDER BY kind"
        )
        for row in rows:
            oldest = datetime.fromtimestamp(row[4] / 1000, zone) if row[4] else None
            found.append(Queue(row[0], int(row[1] or 0), int(row[2] or 0), int(row[3] or 0), oldest))
    return found


async def dead_letters(office: Office) -> list[DeadLetter]:
    """The dead of all queues, the newest first."""
    found, zone = [], office.now().tzinfo
    for table in _TABLES:
        rows = await office.database.read(
            "SELECT j.merchant_id, m.name, j.job_id, j.kind, j.target, j.last_error, j.attempts, j.created_at_ms"  # noqa: S608
            f" FROM {table} j LEFT JOIN merchants m ON m.merchant_id = j.merchant_id WHERE j.state = 'dead'"
            f" ORDER BY j.created_at_ms DESC, j.job_id LIMIT {LIST_MAX}"
        )
        found += [
            DeadLetter(table, row[0], row[1] or "", row[2], row[3], masked(row[4]) if row[4] else "", row[5], row[6],
                       datetime.fromtimestamp(row[7] / 1000, zone))
            for row in rows
        ]  # fmt: skip
    return sorted(found, key=lambda one: one.made_at, reverse=True)[:LIST_MAX]


async def revive(office: Office, operator: Session, table: str, merchant_id: int, job_id: str) -> None:
    """Let a dead letter be tried again; the merchant reads that in his trail. Raises ``Refused`` JOB-NOT-FOUND."""
    if table not in _TABLES:
        raise refuse("JOB-NOT-FOUND")
    now = office.now()
    async with office.database.write() as transaction:
        if not await transaction.execute(
            f"UPDATE {table} SET state = 'waiting', attempts = 0, next_at_ms = $3, lease_until_ms = 0"  # noqa: S608
            " WHERE merchant_id = $1 AND job_id = $2 AND state = 'dead'",
            merchant_id, job_id, milliseconds(now),
        ):  # fmt: skip
            raise refuse("JOB-NOT-FOUND")
        await record_act(transaction, operator, now, "letter.retry", job_id)
        if merchant_id != NOBODY:
            actor = Actor(merchant_id, operator.person_id, operator.name)
            await record(transaction, actor, now, "delivery.retry", job_id)


async def revive_all(office: Office, operator: Session) -> int:
    """Let all the dead be tried again, after an outage; how many."""
    now, revived = office.now(), 0
    async with office.database.write() as transaction:
        for table in _TABLES:
            revived += await transaction.execute(
                f"UPDATE {table} SET state = 'waiting', attempts = 0, next_at_ms = $1, lease_until_ms = 0"  # noqa: S608
                " WHERE state = 'dead'",
                milliseconds(now),
            )
        await record_act(transaction, operator, now, "letter.retry", "", str(revived))
    return revived
