"""Delivery proof (送达证明): what became of each mail, from what our own pages see: no pictures that report back.

SMTP says that a server took a mail, never that it lies in the mailbox, so there is no 已送达. 已打开 means that the
link in the mail was opened, 已下载 that a file was taken by it. Whoever reads the attachment only is not seen.
"""

from __future__ import annotations

import asyncio
import json
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec
import structlog

from piaoma.delivery import masked
from piaoma.store import milliseconds

from .deliver import MAILS_MAX
from .events import Actor, record
from .page import Page, cut, resume

if TYPE_CHECKING:
    from piaoma.store import Row

    from .office import Office

LIST_MAX = 50
BULK_MAX = 500  # mails that are sent again at once
BULK_GAP_MS = 200  # between two of them, so that a mail server is not flooded
CONTACT_DAYS_MAX = 30  # that an address is kept after its delivery ended
PURGE_SECONDS = 3_600
PLACES = tuple(str(place) for place in range(MAILS_MAX))  # of an invoice's mails, as their links say

_log = structlog.get_logger("piaoma.receipts")


class Proof(StrEnum):
    """How far a mail has come."""

    WAITING = "waiting"  # 待发送
    SENT = "sent"  # 已发送: the receiver's server, or the one before it, took it
    OPENED = "opened"  # 已打开
    DOWNLOADED = "downloaded"  # 已下载
    FAILED = "failed"  # 失败


class Mail(msgspec.Struct, frozen=True):
    """A mail as people see it: ``target`` masked (empty once purged), ``reason`` a word of the catalogue."""

    job_id: str
    number: str
    target: str
    proof: Proof
    reason: str
    attempts: int
    created_at: datetime
    changed_at: datetime


_COLUMNS = """j.job_id, j.number, j.target, j.state, j.attempts, j.next_at_ms, j.created_at_ms, j.done_at_ms,
              j.last_error, r.opened_at_ms, r.downloaded_at_ms"""
_OF_INVOICE = f"""
SELECT {_COLUMNS} FROM {{keys}} CROSS JOIN jobs j
LEFT JOIN receipts r ON r.merchant_id = j.merchant_id AND r.job_id = j.job_id
WHERE j.merchant_id = k.a AND j.job_id = k.b ORDER BY j.created_at_ms, j.job_id
"""  # noqa: S608
_MAILS = f"""
SELECT {_COLUMNS} FROM jobs j LEFT JOIN receipts r ON r.merchant_id = j.merchant_id AND r.job_id = j.job_id
WHERE j.merchant_id = $1 AND j.kind = 'mail' AND j.number <> ''
"""  # noqa: S608
# What a list may be narrowed to. 未打开 is the one that a shop acts on.
_NARROWED = {
    "": "",
    "waiting": " AND j.state = 'waiting'",
    "unopened": " AND j.state = 'done' AND r.job_id IS NULL",
    "opened": " AND r.job_id IS NOT NULL",
    "failed": " AND j.state = 'dead'",
    "sent": " AND j.state = 'done'",
}
NARROWINGS = tuple(_NARROWED)


async def mails_of(office: Office, merchant_id: int, number: str) -> list[Mail]:
    """The mails of an invoice, oldest first."""
    keys = json.dumps([(merchant_id, f"{number}:mail:{place}") for place in PLACES])
    rows = await office.database.read(_OF_INVOICE.format(keys=office.database.dialect.int_text_keys), keys)
    return [_mail(office, row) for row in rows]


async def list_mails(
    office: Office, merchant_id: int, narrowing: str, cursor: str = "", since: datetime | None = None
) -> Page[Mail]:
    """A merchant's mails with invoices, newest first, since a moment if one is given. An unknown narrowing is none.

    What was sent of a code, or why an application was refused, is of no invoice and stands elsewhere.
    """
    before_ms, before_number = resume(cursor)
    rows = await office.database.read(
        _MAILS + _NARROWED.get(narrowing, "") + " AND (j.created_at_ms < $2 OR j.created_at_ms = $2 AND j.number < $3)"
        " AND j.created_at_ms >= $5 ORDER BY j.created_at_ms DESC, j.number DESC LIMIT $4",
        merchant_id, before_ms, f"{before_number:020d}", LIST_MAX + 1, milliseconds(since) if since else 0,
    )  # fmt: skip
    found = [_mail(office, row) for row in rows]
    return cut(found, LIST_MAX, lambda one: (milliseconds(one.created_at), int(one.number)))


async def figures(office: Office, merchant_id: int, since: datetime) -> tuple[tuple[str, int], ...]:
    """How many mails since a moment were sent, failed for good, or wait; the list of each narrowing has as many."""
    rows = await office.database.read(
        "SELECT state, count(*) FROM jobs WHERE merchant_id = $1 AND kind = 'mail' AND number <> ''"
        " AND created_at_ms >= $2 GROUP BY state",
        merchant_id, milliseconds(since),
    )  # fmt: skip
    counted = {row[0]: int(row[1]) for row in rows}
    return tuple((name, counted.get(state, 0)) for name, state in _COUNTED.items())


_COUNTED = {"sent": "done", "failed": "dead", "waiting": "waiting"}


def _mail(office: Office, row: Row) -> Mail:
    zone = office.now().tzinfo
    job_id, number, target, state, attempts, next_ms, created_ms, done_ms, error, opened_ms, downloaded_ms = (
        row[column] for column in range(11)
    )
    if state == "dead":
        proof = Proof.FAILED
    elif state == "waiting":
        proof = Proof.WAITING
    else:
        proof = Proof.DOWNLOADED if downloaded_ms else Proof.OPENED if opened_ms else Proof.SENT
    moment = downloaded_ms or opened_ms or done_ms or next_ms
    return Mail(
        job_id, number, masked(target) if target else "", proof, reason_word(error) if error else "", attempts,
        datetime.fromtimestamp(created_ms / 1000, zone), datetime.fromtimestamp(moment / 1000, zone),
    )  # fmt: skip


def reason_word(error: str) -> str:
    """Why a mail failed, as a word of the catalogue: what a person can act on is named, the rest is the network's."""
    if "refused the address" in error or "not an address" in error:
        return "mail_reason_address"
    if error.startswith("Undeliverable"):
        return "mail_reason_document"
    return "mail_reason_server"


async def note_opened(office: Office, merchant_id: int, number: str, place: str, *, downloaded: bool = False) -> None:
    """Note that the link in a mail was opened, or a file taken by it. The first time counts, the rest costs a look."""
    if place not in PLACES:
        return
    job_id = f"{number}:mail:{place}"
    row = await office.database.read_by_key(
        "SELECT downloaded_at_ms FROM receipts WHERE merchant_id = $1 AND job_id = $2", merchant_id, job_id
    )
    if row is not None and (row[0] is not None or not downloaded):
        return
    sent = await office.database.read_by_key(
        "SELECT 1 FROM jobs WHERE merchant_id = $1 AND job_id = $2 AND state = 'done'", merchant_id, job_id
    )
    if sent is None:
        return
    now_ms = milliseconds(office.now())
    async with office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO receipts (merchant_id, job_id, opened_at_ms, downloaded_at_ms) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (merchant_id, job_id) DO UPDATE SET"
            " downloaded_at_ms = coalesce(receipts.downloaded_at_ms, excluded.downloaded_at_ms)",
            merchant_id, job_id, now_ms, now_ms if downloaded else None,
        )  # fmt: skip


async def send_again(office: Office, by: Actor, job_ids: list[str]) -> int:
    """Let mails go out again under their own ids, spaced; how many. Those whose address is purged cannot."""
    now_ms = milliseconds(office.now())
    again = 0
    async with office.database.write() as transaction:
        for place, job_id in enumerate(sorted(set(job_ids))[:BULK_MAX]):
            again += await transaction.execute(_AGAIN, by.merchant_id, job_id, now_ms + place * BULK_GAP_MS)
        await record(transaction, by, office.now(), "delivery.again", str(again))
    return again


_AGAIN = """
UPDATE jobs SET state = 'waiting', attempts = 0, done_at_ms = NULL, next_at_ms = $3, lease_until_ms = 0
WHERE merchant_id = $1 AND job_id = $2 AND kind = 'mail' AND state <> 'waiting' AND target <> ''
"""


async def purge_contacts(office: Office) -> int:
    """Erase the addresses of deliveries, questions, applications, tickets and notices of ``CONTACT_DAYS_MAX`` days ago;
    how many."""
    before = milliseconds(office.now() - timedelta(days=CONTACT_DAYS_MAX))
    async with office.database.write() as transaction:
        mails = await transaction.execute(_PURGE_MAILS, before)
        others = [await transaction.execute(statement, before) for statement in _PURGE_OTHERS]
        return mails + sum(others)


_PURGE_MAILS = """
UPDATE jobs SET target = '' WHERE kind = 'mail' AND target <> '' AND state <> 'waiting' AND created_at_ms < $1
"""
_PURGE_QUESTIONS = "UPDATE questions SET contact = '' WHERE contact <> '' AND asked_at_ms < $1"
_PURGE_OTHERS = (
    _PURGE_QUESTIONS,
    # One that waits so long is past; one that was approved may still be issued and mailed.
    "UPDATE applications SET email = '' WHERE email <> '' AND state <> 'approved' AND created_at_ms < $1",
    # One that waits for support is answered first.
    "UPDATE tickets SET contact = '' WHERE contact <> '' AND state <> 'open' AND changed_at_ms < $1",
    "UPDATE notices SET target = '' WHERE target <> '' AND state <> 'waiting' AND created_at_ms < $1",
)


async def keep_purging(office: Office) -> None:
    """Purge every hour until cancelled. What goes wrong is logged and tried again."""
    while True:
        await asyncio.sleep(PURGE_SECONDS)
        try:
            await purge_contacts(office)
        except Exception:
            _log.exception("purge")
