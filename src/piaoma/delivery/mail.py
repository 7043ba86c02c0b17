"""Mail (电子邮件): the message of an invoice, and two carriers of it: SMTP, and files in a folder.

A message has a plain text part with number, amount and link, and PDF, OFD and XML attached. Its Message-ID comes from
the job's id, so that a mail sent twice is one mail to the receiver's program.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import aiosmtplib

from piaoma.documents.formats import file_name
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.money import format_yuan
from piaoma.invoice.original_reader import read
from piaoma.invoice.refusal import Refused
from piaoma.store import Database

from .addresses import is_address
from .outbox import Job, Undeliverable

SMTP_SECONDS_MAX = 30

Render = Callable[[int, str, str], Awaitable[bytes]]  # merchant, number, kind of view


def compose_mail(
    invoice: IssuedInvoice, original: bytes, pdf: bytes, ofd: bytes, job: Job, sender: str, link: str,
    replaces: str | None = None,
) -> EmailMessage:  # fmt: skip
    """The message of an invoice; of a red one, and of one that ``replaces`` another (换开), it says so first."""
    mark = "【测试样票 无效】" if invoice.sandbox else ""
    total = f"¥{format_yuan(invoice.totals.inclusive)}"
    message = EmailMessage(policy=SMTP)
    message["From"] = f"票码 <{sender}>"
    message["To"] = job.target
    kind = "红字电子发票" if invoice.red else "换开后的电子发票" if replaces else "电子发票"
    message["Subject"] = f"{mark}{invoice.seller.name}开具的{kind} {total}"
    message["Date"] = format_datetime(invoice.signed_at or invoice.requested_at)
    message["Message-ID"] = f"<{hashlib.sha256(job.job_id.encode()).hexdigest()[:32]}@piaoma.invalid>"
    sample = "本邮件由沙盒发出，所附为测试样票，不是发票，不得报销入账。\n\n" if invoice.sandbox else ""
    told = ""
    if invoice.red:
        told = f"您的发票 {invoice.red.blue_number} 已被红冲，请用这张红字发票冲账，原发票不要再报销入账。\n\n"
    elif replaces:
        told = f"这张发票替换抬头有误的 {replaces}；原发票已红冲，不要再报销入账。\n\n"
    message.set_content(
        f"{sample}{told}发票号码：{invoice.number}\n价税合计：{total}\n开票日期：{invoice.issued_on:%Y年%m月%d日}\n"
        f"销售方：{invoice.seller.name}\n购买方：{invoice.buyer.name}\n\n"
        f"附件有 XML 原件（入账请保存这一份）、PDF 和 OFD。\n" + (f"随时可以再取：\n{link}\n" if link else "")
    )
    for kind, data in (("pdf", pdf), ("ofd", ofd), ("xml", original)):
        message.add_attachment(data, maintype="application", subtype=kind, filename=file_name(invoice.number, kind))
    return message


def compose_letter(job: Job, sender: str, subject: str, text: str, at: datetime) -> EmailMessage:
    """A message without an invoice: text alone."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f"票码 <{sender}>"
    message["To"] = job.target
    message["Subject"] = subject
    message["Date"] = format_datetime(at)
    # Two merchants may each have a job of this name.
    name = hashlib.sha256(f"{job.merchant_id}:{job.job_id}".encode()).hexdigest()[:32]
    message["Message-ID"] = f"<{name}@piaoma.invalid>"
    message.set_content(text)
    return message


class MailCarrier:
    """Carries mail jobs. ``deliver`` hands a finished message over; ``letter`` writes those that are of no invoice;
    ``sent`` is told afterwards of those that are."""

    batch_max = 1
    leased = True
    attempts_max: int | None = 36  # half a day to a day with the back-off of the outbox

    def __init__(
        self, database: Database, render: Render, sender: str, link: Callable[[Job], Awaitable[str]],
        deliver: Callable[[EmailMessage], Awaitable[None]], letter: Callable[[Job], Awaitable[EmailMessage]],
        sent: Callable[[Job], Awaitable[None]],
    ) -> None:  # fmt: skip
        self._database = database
        self._render = render
        self._sender = sender
        self._link = link
        self._deliver = deliver
        self._letter = letter
        self._sent = sent

    async def carry(self, jobs: Sequence[Job]) -> None:
        """See ``Carrier.carry``."""
        for job in jobs:
            if not job.number:
                await self._deliver(await self._letter(job))
                continue
            rows = await self._database.read(
                "SELECT original, replaces FROM invoices WHERE merchant_id = $1 AND number = $2",
                job.merchant_id,
                job.number,
            )
            if not rows or not is_address(job.target):
                raise Undeliverable("no such invoice" if not rows else "not an address")
            original = bytes(rows[0][0])
            try:
                pdf, ofd = [await self._render(job.merchant_id, job.number, kind) for kind in ("pdf", "ofd")]
            except Refused as refused:
                raise Undeliverable(str(refused)) from None
            link = await self._link(job)
            message = compose_mail(read(original), original, pdf, ofd, job, self._sender, link, rows[0][1])
            await self._deliver(message)
            await self._sent(job)


def to_folder(folder: Path) -> Callable[[EmailMessage], Awaitable[None]]:
    """The default: each message becomes a file ``.eml``; sent again, it is the same file."""

    async def deliver(message: EmailMessage) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        name = str(message["Message-ID"]).strip("<>").partition("@")[0]
        aside = folder / f"{name}.new"
        await asyncio.to_thread(aside.write_bytes, message.as_bytes())
        os.replace(aside, folder / f"{name}.eml")

    return deliver


def to_smtp(url: str) -> Callable[[EmailMessage], Awaitable[None]]:
    """By ``smtp://user:password@host:port`` (STARTTLS when offered) or ``smtps://…``."""
    parts = urlsplit(url)
    assert parts.hostname, "a mail server has a name"
    host, port = parts.hostname, parts.port or (465 if parts.scheme == "smtps" else 25)
    username = unquote(parts.username) if parts.username else None
    password = unquote(parts.password) if parts.password else None

    async def deliver(message: EmailMessage) -> None:
        try:
            await aiosmtplib.send(
                message,
                hostname=host,
                port=port,
                username=username,
                password=password,
                use_tls=parts.scheme == "smtps",
                timeout=SMTP_SECONDS_MAX,
            )
        except aiosmtplib.SMTPRecipientsRefused as error:
            codes = [recipient.code for recipient in error.recipients]
            if codes and all(500 <= code < 600 for code in codes):
                raise Undeliverable(f"the receiver's server refused the address ({codes[0]})") from None
            raise

    return deliver
