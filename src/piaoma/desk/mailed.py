"""The list of an address (邮箱里的发票): a link by mail brings what was sent to an address to another device.

The address itself is purged some weeks after a delivery; a keyed digest of it stays with each invoice that was mailed,
so that whoever still reads the mailbox can be told from whoever only knows the address. Nobody learns by asking
whether an address is known: the answer comes at once and is the same, and all the rest happens behind it.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import secrets
from datetime import timedelta
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime
from typing import TYPE_CHECKING

import structlog

from piaoma.delivery import Job
from piaoma.invoice.refusal import refuse
from piaoma.store import milliseconds, write_block

from . import shelf
from .deliver import check_address

if TYPE_CHECKING:
    from piaoma.store import Transaction

    from .office import Office

LINK_MINUTES_MAX = 30
LINKS_MAX = 3  # of one address that stand at a time; asked for more, nothing is sent
MAILED_MAX = 2_000  # invoices that one link brings, the newest
SEND_TRIES_MAX = 4
SEND_RETRY_SECONDS = 2  # doubled at each try

_log = structlog.get_logger("piaoma.mailed")


def address_digest(office: Office, address: str) -> str:
    """What is kept of an address: nobody without the installation's key can try out which address it is."""
    return hmac.digest(office.cookie_key, f"address:{address.strip().lower()}".encode(), "sha256").hex()


async def note_mailed(office: Office, job: Job) -> None:
    """Remember that an invoice was handed to an address's server. Done twice it is done once."""
    async with office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO mailed (address, merchant_id, number, sent_at_ms) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (address, merchant_id, number) DO NOTHING",
            address_digest(office, job.target), job.merchant_id, job.number, milliseconds(office.now()),
        )  # fmt: skip


def ask_for_link(office: Office, address: str) -> None:
    """Have a link sent to an address if anything was ever sent there. Nothing of that is waited for.

    Raises ``Refused`` MAIL-ADDRESS.
    """
    address = check_address(address)
    sending = asyncio.create_task(_send_link(office, address))
    office.errands.add(sending)
    sending.add_done_callback(office.errands.discard)


async def _send_link(office: Office, address: str) -> None:
    try:
        secret = await make_link(office, address)
        if secret:
            await post(office, _message(office, address, secret))
    except Exception:
        _log.exception("list link")


async def make_link(office: Office, address: str) -> str:
    """The secret of a new link; empty when nothing was mailed to the address, or enough links stand already."""
    digest, now = address_digest(office, address), office.now()
    known = await office.database.read("SELECT 1 FROM mailed WHERE address = $1 LIMIT 1", digest)
    if not known:
        return ""
    secret = secrets.token_urlsafe(24)

    async def work(transaction: Transaction) -> bool:
        await transaction.execute("DELETE FROM list_links WHERE expires_at_ms <= $1", milliseconds(now))
        standing = await transaction.fetch("SELECT count(*) FROM list_links WHERE address = $1", digest)
        if standing[0][0] >= LINKS_MAX:
            return False
        expires = milliseconds(now + timedelta(minutes=LINK_MINUTES_MAX))
        await transaction.execute(
            "INSERT INTO list_links (secret_hash, address, expires_at_ms) VALUES ($1, $2, $3)",
            _hash(secret), digest, expires,
        )  # fmt: skip
        return True

    return secret if await write_block(office.database, work) else ""


async def link_stands(office: Office, secret: str) -> bool:
    """Whether a link can still be used; looking does not use it, for mail servers look at links."""
    row = await office.database.read_by_key(
        "SELECT expires_at_ms FROM list_links WHERE secret_hash = $1", _hash(secret)
    )
    return row is not None and row[0] > milliseconds(office.now())


async def use_link(office: Office, secret: str, holder: str) -> int:
    """Bring what was mailed to the link's address to a browser's shelf; how many invoices. The link is used up.

    Raises ``Refused`` LIST-LINK-GONE.
    """
    digest = await _spend(office, secret)
    rows = await office.database.read(
        "SELECT merchant_id, number FROM mailed WHERE address = $1 ORDER BY sent_at_ms DESC LIMIT $2",
        digest,
        MAILED_MAX,
    )
    return await shelf.shelve_all(office, holder, [(row[0], row[1]) for row in rows])


async def forget_address(office: Office, secret: str) -> int:
    """Erase which invoices were mailed to the link's address, and all its links; how many were known.

    Raises ``Refused`` LIST-LINK-GONE.
    """
    digest = await _spend(office, secret)
    async with office.database.write() as transaction:
        await transaction.execute("DELETE FROM list_links WHERE address = $1", digest)
        return await transaction.execute("DELETE FROM mailed WHERE address = $1", digest)


async def _spend(office: Office, secret: str) -> str:
    """The address's digest of a link, which is gone afterwards: of two who come at once, one has it."""
    for_update = office.database.dialect.for_update

    async def work(transaction: Transaction) -> str:
        rows = await transaction.fetch(
            f"SELECT address FROM list_links t WHERE secret_hash = $1 AND expires_at_ms > $2 {for_update}",  # noqa: S608
            _hash(secret), milliseconds(office.now()),
        )  # fmt: skip
        if not rows:
            raise refuse("LIST-LINK-GONE")
        await transaction.execute("DELETE FROM list_links WHERE secret_hash = $1", _hash(secret))
        return str(rows[0][0])

    return await write_block(office.database, work)


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()


def _message(office: Office, address: str, secret: str) -> EmailMessage:
    return letter(
        office, address, "打开我的发票 · Your invoices",
        f"点开下面的链接，就能在这台设备上看到发到本邮箱的发票。链接 {LINK_MINUTES_MAX} 分钟内有效，只能用一次：\n"
        f"{office.config.base_url}/my/link/{secret}\n\n"
        "如果不是您要的，不用理会：没有这封邮件，谁也看不到您的发票。\n\n"
        f"Open the link to see the invoices that were sent to this address. It works once, for {LINK_MINUTES_MAX}"
        " minutes. If you did not ask for it, ignore it.\n",
    )  # fmt: skip


def letter(office: Office, address: str, subject: str, text: str) -> EmailMessage:
    """A short message of the program to a person."""
    message = EmailMessage(policy=SMTP)
    message["From"] = f"票码 <{office.config.mail_from}>"
    message["To"] = address
    message["Subject"] = subject
    message["Date"] = format_datetime(office.now())
    message["Message-ID"] = f"<{secrets.token_hex(16)}@piaoma.invalid>"
    message.set_content(text)
    return message


async def post(office: Office, message: EmailMessage) -> None:
    """Hand a message over, trying a few times. It is not kept: whoever waits for it asks again."""
    for attempt in range(SEND_TRIES_MAX):
        try:
            await office.hand_over(message)
            return
        except Exception:
            if attempt == SEND_TRIES_MAX - 1:
                raise
            await asyncio.sleep(SEND_RETRY_SECONDS * 2**attempt)
