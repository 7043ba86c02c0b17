"""Endpoints (推送地址) of a merchant: added, paused, removed, secrets rotated; what was sent, and sending it again."""

from __future__ import annotations

import base64
import hashlib
import os
import secrets
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec
import structlog
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from piaoma.delivery.destination import checked, networks_of, parse
from piaoma.delivery.webhook import SECRET_PREFIX
from piaoma.invoice.refusal import refuse
from piaoma.store import Row, Transaction, announce, milliseconds, write_block

from .events import Actor, record
from .happenings import ADD_JOB, TYPES
from .happenings import KEPT_DAYS as EVENT_DAYS
from .page import Page, cut, resume
from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

WEBHOOKS_MAX = 10  # of a merchant
SECRET_BYTES = 32
OVERLAP_HOURS = 24  # that an old secret signs beside the new one
LIST_MAX = 50
TRIES_SHOWN_MAX = 20  # of one message
REPLAY_MAX = 1_000  # messages that are sent again at once
PURGE_SECONDS = 3_600

_log = structlog.get_logger("piaoma.webhooks")


class Webhook(msgspec.Struct, frozen=True):
    """An endpoint; ``types`` is empty for all. ``secret`` is there right after it was made. Times aware."""

    webhook_id: int
    url: str
    types: tuple[str, ...]
    state: Literal["active", "paused"]
    failing_since: datetime | None
    old_until: datetime | None
    created_by: str
    created_at: datetime
    waiting: int = 0
    dead: int = 0
    secret: str = ""


class Try(msgspec.Struct, frozen=True):
    """One try: ``status`` is 0 when there was no answer."""

    at: datetime
    status: int
    took_ms: int
    error: str
    answer: str


class Sending(msgspec.Struct, frozen=True):
    """One event on its way to one endpoint."""

    job_id: str
    event_id: str
    type: str
    subject: str
    state: Literal["waiting", "done", "dead"]
    attempts: int
    next_at: datetime
    created_at: datetime
    done_at: datetime | None
    last_error: str
    place: int


def seal_secret(key: bytes, merchant_id: int, secret: bytes) -> bytes:
    """A secret that only this installation opens, and only for this merchant."""
    nonce = os.urandom(12)
    return nonce + AESGCM(_sealing(key)).encrypt(nonce, secret, str(merchant_id).encode())


def unseal_secret(key: bytes, merchant_id: int, sealed: bytes) -> bytes:
    """The secret; empty when the key is another, as after the loss of the data folder: it signs nothing right."""
    try:
        return AESGCM(_sealing(key)).decrypt(sealed[:12], sealed[12:], str(merchant_id).encode())
    except InvalidTag:
        return b""


def _sealing(key: bytes) -> bytes:
    return hashlib.sha256(b"piaoma.webhook" + key).digest()


def _new_secret() -> tuple[bytes, str]:
    """A secret, and as its owner is shown it once."""
    secret = secrets.token_bytes(SECRET_BYTES)
    return secret, SECRET_PREFIX + base64.b64encode(secret).decode()


async def make(
    office: Office, by: Actor, url: str, types: Iterable[str] = (), webhook_id: int | None = None
) -> Webhook:
    """A new endpoint. The same ``webhook_id`` is the same endpoint, whose secret is not told twice.

    Raises ``Refused`` WEBHOOK-URL, -HOST, -PRIVATE, -PLAIN, -TYPES, -TOO-MANY.
    """
    url, wanted = url.strip(), sorted(set(types))
    if not set(wanted) <= set(TYPES):
        raise refuse("WEBHOOK-TYPES", "types")
    await checked(parse(url), networks_of(office.config.webhook_networks))
    secret, shown = _new_secret()
    made_id = secrets.randbits(40) if webhook_id is None else webhook_id

    async def work(transaction: Transaction) -> bool:
        if await transaction.fetch(_EXISTS, by.merchant_id, made_id):
            return False
        standing = await transaction.fetch(_COUNT, by.merchant_id)
        if standing[0][0] >= WEBHOOKS_MAX:
            raise refuse("WEBHOOK-TOO-MANY", "url", max=WEBHOOKS_MAX)
        now = office.now()
        sealed = seal_secret(office.cookie_key, by.merchant_id, secret)
        await transaction.execute(
            _INSERT, by.merchant_id, made_id, url, " ".join(wanted), sealed, by.name, milliseconds(now)
        )
        await transaction.execute("UPDATE merchants SET announces = 1 WHERE merchant_id = $1", by.merchant_id)
        await record(transaction, by, now, "webhook.add", url, after={"types": " ".join(wanted)})
        return True

    fresh = await write_block(office.database, work)
    found = await webhook(office, by.merchant_id, made_id)
    return msgspec.structs.replace(found, secret=shown if fresh else "")


_EXISTS = "SELECT 1 FROM webhooks WHERE merchant_id = $1 AND webhook_id = $2"
_COUNT = "SELECT count(*) FROM webhooks WHERE merchant_id = $1 AND state <> 'removed'"
_INSERT = """
INSERT INTO webhooks (merchant_id, webhook_id, url, types, secret, created_by, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
"""
_SELECT = """
SELECT w.webhook_id, w.url, w.types, w.state, w.failing_since_ms, w.old_until_ms, w.created_by, w.created_at_ms,
       (SELECT count(*) FROM webhook_jobs j WHERE j.merchant_id = w.merchant_id AND j.webhook_id = w.webhook_id
        AND j.state = 'waiting') AS waiting,
       (SELECT count(*) FROM webhook_jobs j WHERE j.merchant_id = w.merchant_id AND j.webhook_id = w.webhook_id
        AND j.state = 'dead') AS dead
FROM webhooks w WHERE w.merchant_id = $1 AND w.state <> 'removed'
"""


def _webhook(office: Office, row: Row) -> Webhook:
    def moment(ms: int | None) -> datetime | None:
        return None if ms is None else datetime.fromtimestamp(ms / 1000, office.now().tzinfo)

    created_at = moment(row["created_at_ms"])
    assert created_at is not None
    old_until = row["old_until_ms"] if (row["old_until_ms"] or 0) > milliseconds(office.now()) else None
    return Webhook(
        row["webhook_id"], row["url"], tuple(row["types"].split()), row["state"], moment(row["failing_since_ms"]),
        moment(old_until), row["created_by"], created_at, row["waiting"], row["dead"],
    )  # fmt: skip


async def list_webhooks(office: Office, merchant_id: int) -> list[Webhook]:
    """A merchant's endpoints, oldest first."""
    rows = await office.database.read(_SELECT + "ORDER BY w.created_at_ms, w.webhook_id", merchant_id)
    return [_webhook(office, row) for row in rows]


async def webhook(office: Office, merchant_id: int, webhook_id: int) -> Webhook:
    """Raises ``Refused`` WEBHOOK-NOT-FOUND."""
    rows = await office.database.read(_SELECT + "AND w.webhook_id = $2", merchant_id, webhook_id)
    if not rows:
        raise refuse("WEBHOOK-NOT-FOUND")
    return _webhook(office, rows[0])


async def change(office: Office, by: Actor, webhook_id: int, act: Literal["pause", "resume", "remove"]) -> None:
    """Pause: events wait. Resume: they are sent at once. Remove: those that wait are given up.

    Raises ``Refused`` WEBHOOK-NOT-FOUND.
    """
    found = await webhook(office, by.merchant_id, webhook_id)
    now_ms = milliseconds(office.now())
    state = {"pause": "paused", "resume": "active", "remove": "removed"}[act]
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE webhooks SET state = $3, failures = 0, rests_until_ms = 0, failing_since_ms = NULL"
            " WHERE merchant_id = $1 AND webhook_id = $2",
            by.merchant_id, webhook_id, state,
        )  # fmt: skip
        if act == "resume":
            await transaction.execute(_AT_ONCE, by.merchant_id, webhook_id, now_ms)
        elif act == "remove":
            await transaction.execute(_GIVE_UP, by.merchant_id, webhook_id)
        await record(transaction, by, office.now(), f"webhook.{act}", found.url)


_AT_ONCE = """
UPDATE webhook_jobs SET next_at_ms = $3, lease_until_ms = 0
WHERE merchant_id = $1 AND webhook_id = $2 AND state = 'waiting'
"""
_GIVE_UP = """
UPDATE webhook_jobs SET state = 'dead', last_error = 'the endpoint was removed'
WHERE merchant_id = $1 AND webhook_id = $2 AND state = 'waiting'
"""


async def rotate(office: Office, by: Actor, webhook_id: int) -> Webhook:
    """A new secret; the old one signs beside it for a day. Raises ``Refused`` WEBHOOK-NOT-FOUND."""
    found = await webhook(office, by.merchant_id, webhook_id)
    secret, shown = _new_secret()
    now = office.now()
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE webhooks SET old_secret = secret, old_until_ms = $3, secret = $4"
            " WHERE merchant_id = $1 AND webhook_id = $2",
            by.merchant_id, webhook_id, milliseconds(now + timedelta(hours=OVERLAP_HOURS)),
            seal_secret(office.cookie_key, by.merchant_id, secret),
        )  # fmt: skip
        await record(transaction, by, now, "webhook.rotate", found.url)
    return msgspec.structs.replace(await webhook(office, by.merchant_id, webhook_id), secret=shown)


async def send_test(office: Office, by: Actor, webhook_id: int) -> None:
    """Have a test event sent to an endpoint. Raises ``Refused`` WEBHOOK-NOT-FOUND."""
    found = await webhook(office, by.merchant_id, webhook_id)
    async with office.database.write() as transaction:
        await announce(transaction, by.merchant_id, "webhook.test", str(webhook_id), office.now())
        await record(transaction, by, office.now(), "webhook.test", found.url)


async def sendings(
    office: Office, merchant_id: int, webhook_id: int, state: str = "", cursor: str = ""
) -> Page[Sending]:
    """What was sent to an endpoint, or waits, newest first."""
    before, _ = resume(cursor)
    rows = await office.database.read(
        _SENDINGS + "WHERE j.merchant_id = $1 AND j.webhook_id = $2 AND j.place < $3 AND ($4 = '' OR j.state = $4)"
        " ORDER BY j.place DESC LIMIT $5",
        merchant_id, webhook_id, before, state, LIST_MAX + 1,
    )  # fmt: skip
    return cut([_sending(office, row) for row in rows], LIST_MAX, lambda one: (one.place, 0))


_SENDINGS = """
SELECT j.job_id, j.event_id, a.type, j.number, j.state, j.attempts, j.next_at_ms, j.created_at_ms, j.done_at_ms,
       j.last_error, j.place
FROM webhook_jobs j JOIN happenings a ON a.merchant_id = j.merchant_id AND a.job_id = j.event_id
"""


def _sending(office: Office, row: Row) -> Sending:
    zone = office.now().tzinfo
    next_at, created_at = (datetime.fromtimestamp(row[place] / 1000, zone) for place in (6, 7))
    done_at = datetime.fromtimestamp(row[8] / 1000, zone) if row[8] else None
    return Sending(row[0], row[1], row[2], row[3], row[4], row[5], next_at, created_at, done_at, row[9], row[10])


async def sending(office: Office, merchant_id: int, job_id: str) -> tuple[Sending, str, list[Try]]:
    """One of them with what was sent and every try, newest first. Raises ``Refused`` EVENT-NOT-FOUND."""
    rows = await office.database.read(_SENDINGS + "WHERE j.merchant_id = $1 AND j.job_id = $2", merchant_id, job_id)
    if not rows:
        raise refuse("EVENT-NOT-FOUND")
    found = _sending(office, rows[0])
    content = await office.database.read_by_key(
        "SELECT content FROM happenings WHERE merchant_id = $1 AND job_id = $2", merchant_id, found.event_id
    )
    assert content is not None
    zone = office.now().tzinfo
    tries = await office.database.read(
        "SELECT at_ms, status, took_ms, error, answer FROM webhook_tries WHERE merchant_id = $1 AND job_id = $2"
        " ORDER BY try_id DESC LIMIT $3",
        merchant_id, job_id, TRIES_SHOWN_MAX,
    )  # fmt: skip
    return (
        found,
        str(content[0]),
        [Try(datetime.fromtimestamp(row[0] / 1000, zone), row[1], row[2], row[3], row[4]) for row in tries],
    )


async def replay(office: Office, by: Actor, webhook_id: int, job_id: str = "") -> int:
    """Send again, under the same id and with the same bytes: one message, or all that were given up; how many.

    Raises ``Refused`` WEBHOOK-NOT-FOUND, EVENT-NOT-FOUND.
    """
    found = await webhook(office, by.merchant_id, webhook_id)
    async with office.database.write() as transaction:
        values = (by.merchant_id, webhook_id, milliseconds(office.now()))
        if job_id:
            count = await transaction.execute(_REPLAY + "AND job_id = $4", *values, job_id)
            if not count:
                raise refuse("EVENT-NOT-FOUND")
        else:
            count = await transaction.execute(
                _REPLAY + _THE_DEAD, *values, REPLAY_MAX
            )  # fmt: skip
        await record(transaction, by, office.now(), "webhook.replay", found.url, after={"count": count})
    return count


_REPLAY = """
UPDATE webhook_jobs SET state = 'waiting', attempts = 0, next_at_ms = $3, lease_until_ms = 0, done_at_ms = NULL,
                        last_error = ''
WHERE merchant_id = $1 AND webhook_id = $2
"""


_THE_DEAD = """
AND state = 'dead' AND job_id IN (
    SELECT job_id FROM webhook_jobs WHERE merchant_id = $1 AND webhook_id = $2 AND state = 'dead'
    ORDER BY place LIMIT $4
)
"""


async def replay_event(office: Office, by: Actor, event_id: str) -> int:
    """Send an event to every endpoint again, also to one that was added since; how many. Raises EVENT-NOT-FOUND."""
    row = await office.database.read_by_key(
        "SELECT number, place FROM happenings WHERE merchant_id = $1 AND job_id = $2 AND content <> ''",
        by.merchant_id, event_id,
    )  # fmt: skip
    if row is None:
        raise refuse("EVENT-NOT-FOUND")
    now_ms = milliseconds(office.now())
    ends = await list_webhooks(office, by.merchant_id)
    async with office.database.write() as transaction:
        for one in ends:
            job = f"{event_id}:{one.webhook_id}"
            await transaction.execute(
                ADD_JOB, by.merchant_id, job, row[0], str(one.webhook_id), one.webhook_id, event_id, row[1], now_ms
            )
            await transaction.execute(_REPLAY + "AND job_id = $4", by.merchant_id, one.webhook_id, now_ms, job)
        await record(transaction, by, office.now(), "webhook.replay", event_id, after={"count": len(ends)})
    return len(ends)


async def forget_for_ever(office: Office) -> None:
    """Take away what is kept no longer, until cancelled."""
    await take_turns(_log, PURGE_SECONDS, lambda: forget_old(office))


async def forget_old(office: Office) -> int:
    """One turn; how many rows went. What still waits stays."""
    before_ms = milliseconds(office.now() - timedelta(days=EVENT_DAYS))
    async with office.database.write() as transaction:
        return sum([await transaction.execute(statement, before_ms) for statement in _OLD])


_OLD = (
    "DELETE FROM webhook_tries WHERE at_ms < $1",
    "DELETE FROM webhook_jobs WHERE created_at_ms < $1 AND state <> 'waiting'",
    "DELETE FROM happenings WHERE created_at_ms < $1 AND state = 'done' AND NOT EXISTS (SELECT 1 FROM webhook_jobs j"
    " WHERE j.merchant_id = happenings.merchant_id AND j.event_id = happenings.job_id)",
)
