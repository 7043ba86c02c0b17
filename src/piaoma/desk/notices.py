"""Notices (通知): mails to people about their account, written with what they tell and carried by the outbox.

The content of a notice may hold a one-time link. It is wiped once the mail has gone.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

import msgspec

from piaoma.delivery import Job, Undeliverable, is_address
from piaoma.store import Database, Transaction, milliseconds

NOBODY = -1  # the merchant of a notice that concerns none


class Content(msgspec.Struct, frozen=True):
    """Subject and text, Chinese first, then English."""

    subject: str
    text: str


async def add_notice(
    transaction: Transaction, target: str, content: Content, now: datetime, merchant_id: int = NOBODY
) -> None:
    """Have a mail sent to an address once this transaction is on disk."""
    now_ms = milliseconds(now)
    await transaction.execute(
        "INSERT INTO notices (merchant_id, job_id, kind, target, content, next_at_ms, created_at_ms)"
        " VALUES ($1, $2, 'notice', $3, $4, $5, $5)",
        merchant_id, secrets.token_hex(12), target, msgspec.json.encode(content).decode(), now_ms,
    )  # fmt: skip


class NoticeCarrier:
    """Carries notices; see ``piaoma.delivery.Carrier``."""

    batch_max = 1
    leased = True
    attempts_max: int | None = 12  # a link in it is dead by then

    def __init__(
        self, database: Database, sender: str, now: Callable[[], datetime],
        deliver: Callable[[EmailMessage], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._database = database
        self._sender = sender
        self._now = now
        self._deliver = deliver

    async def carry(self, jobs: Sequence[Job]) -> None:
        for job in jobs:
            row = await self._database.read_by_key(
                "SELECT content FROM notices WHERE merchant_id = $1 AND job_id = $2", job.merchant_id, job.job_id
            )
            if row is None or not row[0] or not is_address(job.target):
                raise Undeliverable("nothing to send" if is_address(job.target) else "not an address")
            content = msgspec.json.decode(row[0], type=Content)
            await self._deliver(self._composed(job, content))
            # Whoever reads the database later finds no link in it.
            async with self._database.write() as transaction:
                await transaction.execute(
                    "UPDATE notices SET content = '', state = 'done', done_at_ms = $3 WHERE merchant_id = $1"
                    " AND job_id = $2",
                    job.merchant_id, job.job_id, milliseconds(self._now()),
                )  # fmt: skip

    def _composed(self, job: Job, content: Content) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        message["From"] = f"票码 <{self._sender}>"
        message["To"] = job.target
        message["Subject"] = content.subject
        message["Date"] = format_datetime(self._now())
        message["Message-ID"] = f"<{hashlib.sha256(job.job_id.encode()).hexdigest()[:32]}@piaoma.invalid>"
        message.set_content(content.text)
        return message
