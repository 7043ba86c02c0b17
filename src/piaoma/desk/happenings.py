"""Announcing (事件推送): what happened gets its content, once and for ever, and goes to all who want it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING

import msgspec

from piaoma import wire
from piaoma.delivery import Job, Undeliverable
from piaoma.invoice.refusal import Refused, refuse
from piaoma.store import Row, Transaction, announce, milliseconds

from . import codes, direct, receipts, records, told

if TYPE_CHECKING:
    from .office import Office

# Everything that is announced, in the order of the documents.
TYPES = (
    "invoice.issued", "invoice.red_issued", "invoice.refused", "code.revoked", "delivery.failed", "webhook.test",
)  # fmt: skip
EVENTS_MAX = 100  # on a page
KEPT_DAYS = 90  # that an event can be asked for
CLOCK_WRONG_SECONDS = 60  # that an event may be ahead of the clock
SETTLING_SECONDS = 2  # that an event is held back in the list, so that one written a moment later stands behind it

_SELECT = "SELECT job_id, type, number, target, place, content, created_at_ms FROM happenings "


class HappeningCarrier:
    """Carries ``happenings``: composes them and lays them out for the endpoints. Twice is as once."""

    batch_max = 100
    leased = False
    attempts_max: int | None = None

    def __init__(self, office: Office) -> None:
        self._office = office

    async def carry(self, jobs: Sequence[Job]) -> None:
        """See ``Carrier.carry``."""
        office = self._office
        composed: list[tuple[int, Row, str]] = []
        for job in jobs:
            row = await office.database.read_by_key(_ONE, job.merchant_id, job.job_id)
            if row is None:
                raise Undeliverable("no such event")
            content = row["content"] or (await _compose(office, job.merchant_id, row)).decode()
            composed.append((job.merchant_id, row, content))
        now_ms = milliseconds(office.now())
        async with office.database.write() as transaction:
            wanted = {
                merchant_id: await transaction.fetch(_ENDPOINTS, merchant_id)
                for merchant_id in sorted({each[0] for each in composed})
            }
            await transaction.execute_many(
                _COMPOSED, sorted((merchant_id, row["job_id"], content) for merchant_id, row, content in composed)
            )
            laid_out = [
                (merchant_id, f"{row['job_id']}:{endpoint[0]}", row["number"], str(endpoint[0]), endpoint[0],
                 row["job_id"], row["place"], now_ms)
                for merchant_id, row, _ in composed for endpoint in wanted[merchant_id]
                if wants(endpoint[1], endpoint[0], row)
            ]  # fmt: skip
            if laid_out:
                await transaction.execute_many(ADD_JOB, laid_out)


def wants(types: str, webhook_id: int, row: Row) -> bool:
    """Whether an endpoint gets an event: a test goes to the one that is tested, others to all who named the type."""
    if row["type"] == "webhook.test":
        return bool(row["target"] == str(webhook_id))
    return not types or row["type"] in types.split()


_ONE = _SELECT + "WHERE merchant_id = $1 AND job_id = $2"
_ENDPOINTS = """
SELECT webhook_id, types FROM webhooks WHERE merchant_id = $1 AND state <> 'removed' ORDER BY webhook_id
"""
_COMPOSED = "UPDATE happenings SET content = $3 WHERE merchant_id = $1 AND job_id = $2 AND content = ''"
ADD_JOB = """
INSERT INTO webhook_jobs (merchant_id, job_id, number, target, webhook_id, event_id, place, next_at_ms, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT (merchant_id, job_id) DO NOTHING
"""


async def _compose(office: Office, merchant_id: int, row: Row) -> bytes:
    try:
        data = await _data(office, merchant_id, row["type"], row["target"])
    except Refused:
        data = {"id": row["target"]}  # it is gone by now; that it happened is still told
    event = wire.Event(
        id=row["job_id"], type=row["type"], timestamp=_moment(office, row), sequence=row["place"],
        subject=row["number"], data=data,
    )  # fmt: skip
    return msgspec.json.encode(event)


def _moment(office: Office, row: Row) -> datetime:
    return datetime.fromtimestamp(row["created_at_ms"] / 1000, office.now().tzinfo)


async def _data(office: Office, merchant_id: int, kind: str, target: str) -> dict[str, object]:
    """What the event is about, as REST v1 shows it at this moment."""
    found: object = {"id": target}
    if kind in ("invoice.issued", "invoice.red_issued"):
        found = told.invoice_of(await records.invoice(office, merchant_id, target))
    elif kind == "invoice.refused":
        standing = await direct.standing(office, merchant_id, target)
        found = await told.issue_of(office, merchant_id, standing, "zh")
    elif kind == "code.revoked":
        found = told.code_of(await codes.code(office, merchant_id, int(target)), "zh")
    elif kind == "delivery.failed":
        number = target.partition(":")[0]
        mails = await receipts.mails_of(office, merchant_id, number)
        found = next((told.delivery_of(one) for one in mails if one.job_id == target), found)
    data: dict[str, object] = msgspec.to_builtins(found)
    return data


async def announce_dead(transaction: Transaction, jobs: Sequence[Job], now: datetime) -> None:
    """Mails with invoices that will not be tried again."""
    for job in jobs:
        if job.kind == "mail" and job.number:
            await announce(transaction, job.merchant_id, "delivery.failed", job.job_id, now, job.number)


async def list_events(office: Office, merchant_id: int, cursor: str = "", kind: str = "") -> wire.Events:
    """What happened after a cursor, oldest first; an empty one is the beginning of what is kept.

    Raises ``Refused`` REQUEST-MALFORMED for a bad cursor.
    """
    if cursor and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= 16):
        raise refuse("REQUEST-MALFORMED", "cursor", have="cursor")
    rows = await office.database.read(
        _SELECT + "WHERE merchant_id = $1 AND place > $2 AND ($3 = '' OR type = $3) ORDER BY place LIMIT $4",
        merchant_id, int(cursor or 0), kind, EVENTS_MAX,
    )  # fmt: skip
    settled = list(takewhile(partial(_settled, milliseconds(office.now())), rows))
    events = [msgspec.json.decode(row["content"], type=wire.Event) for row in settled]
    return wire.Events(items=events, next_cursor=str(settled[-1]["place"]) if settled else cursor or "0")


def _settled(now_ms: int, row: Row) -> bool:
    """Whether nothing can come to stand in front of an event any more: it has its content, and is older than any
    transaction that goes on. One far in the future was written while the clock was wrong."""
    age_ms = now_ms - int(row["created_at_ms"])
    return row["content"] != "" and (age_ms >= SETTLING_SECONDS * 1000 or age_ms < -CLOCK_WRONG_SECONDS * 1000)


async def event(office: Office, merchant_id: int, event_id: str) -> wire.Event:
    """Raises ``Refused`` EVENT-NOT-FOUND."""
    row = await office.database.read_by_key(_ONE, merchant_id, event_id)
    if row is None or not row["content"]:
        raise refuse("EVENT-NOT-FOUND")
    return msgspec.json.decode(row["content"], type=wire.Event)
