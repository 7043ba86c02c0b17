"""Mailing in (邮件收票): an address for each merchant; what is attached to a mail to it is taken in like an upload.

The address holds a secret (80 bits, from the merchant, its turn and a key of ours), so that only whoever was given it
can send; a new one ends the old one. It opens nothing but that merchant's list of received invoices.
"""

from __future__ import annotations

import base64
import hmac
import re
import time
from collections import deque
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from piaoma.delivery import masked
from piaoma.documents.letters import attachments
from piaoma.documents.workers import WorkerFailed
from piaoma.invoice.refusal import Refused, refuse
from piaoma.store import Transaction, milliseconds, write_block

from .events import Actor, record
from .receive import OPEN_SECONDS_MAX, Taken, receive
from .received import Way
from .verify import File

if TYPE_CHECKING:
    from .office import Office

MAIL_SECRET_BYTES = 10
MAILS_PER_HOUR_MAX = 120  # to one address
HOUR_SECONDS = 3_600
_LOCAL = re.compile(r"fp-(\d{1,9})-([a-z2-7]{16})")


def domain_of(office: Office) -> str:
    """What stands behind the @ of the addresses."""
    return office.config.mail_in_domain or urlsplit(office.config.base_url).hostname or "localhost"


async def address_of(office: Office, merchant_id: int) -> str:
    """The merchant's address; empty while it has none, or the installation takes no mail."""
    if not office.config.mail_in:
        return ""
    turn = await _turn(office, merchant_id)
    return "" if turn is None else f"fp-{merchant_id}-{_secret(office, merchant_id, turn)}@{domain_of(office)}"


def _secret(office: Office, merchant_id: int, turn: int) -> str:
    digest = hmac.digest(office.cookie_key, f"mailbox:{merchant_id}:{turn}".encode(), "sha256")
    return base64.b32encode(digest[:MAIL_SECRET_BYTES]).decode().lower()


async def _turn(office: Office, merchant_id: int) -> int | None:
    row = await office.database.read_by_key("SELECT turn, open FROM mailboxes WHERE merchant_id = $1", merchant_id)
    return int(row[0]) if row is not None and row[1] else None


_SET = """
INSERT INTO mailboxes (merchant_id, turn, open, changed_at_ms) VALUES ($1, 1, $2, $3)
ON CONFLICT (merchant_id) DO UPDATE SET turn = mailboxes.turn + 1, open = excluded.open,
    changed_at_ms = excluded.changed_at_ms
"""


async def set_address(office: Office, by: Actor, *, taken: bool) -> str:
    """A new address for the actor's merchant, or none; the old one ends at once. Raises ``Refused`` MAIL-IN-OFF."""
    if not office.config.mail_in:
        raise refuse("MAIL-IN-OFF")

    async def work(transaction: Transaction) -> None:
        await transaction.execute(_SET, by.merchant_id, int(taken), milliseconds(office.now()))
        await record(
            transaction, by, office.now(), "received.address", after={"state": "new" if taken else "none_open"}
        )

    await write_block(office.database, work)
    return await address_of(office, by.merchant_id)


class MailIn:
    """Takes mail for the addresses of all merchants (see ``delivery.inbound``)."""

    def __init__(self, office: Office) -> None:
        self._office = office
        self._lately: dict[int, deque[float]] = {}

    async def welcome(self, address: str) -> str:
        """Known addresses only, each so many mails an hour."""
        merchant_id = await self._merchant(address)
        if merchant_id is None:
            return "550 5.1.1 no such address here"
        if self._count(merchant_id) >= MAILS_PER_HOUR_MAX:
            return "452 4.2.1 too many mails to this address, try again later"
        return "250 2.1.5 ok"

    async def take(self, addresses: list[str], sender: str, message: bytes) -> str:
        """Take in what is attached, for each merchant that it was sent to. A mail without an invoice goes back."""
        try:
            found = await self._office.checkers.run(OPEN_SECONDS_MAX, attachments, message)
        except WorkerFailed:
            return "554 5.6.0 this mail takes too long to read"
        files = [File(name, data) for name, data in found]
        if not files:
            return "554 5.6.0 no invoice is attached (XML, OFD, PDF, zip or picture)"
        told = []
        for address in addresses:
            merchant_id = await self._merchant(address)
            if merchant_id is None:  # it was renewed a moment ago
                return "550 5.1.1 no such address here"
            self._lately.setdefault(merchant_id, deque()).append(time.monotonic())
            try:
                told += await receive(self._office, _actor(merchant_id, sender), files, Way.MAIL)
            except Refused as refused:
                cause = refused.refusals[0].cause
                return f"451 4.3.2 {cause}" if cause == "VERIFY-BUSY" else f"554 5.6.0 {cause}"
        return _answer(told)

    def _count(self, merchant_id: int) -> int:
        lately = self._lately.setdefault(merchant_id, deque())
        while lately and lately[0] < time.monotonic() - HOUR_SECONDS:
            lately.popleft()
        return len(lately)

    async def _merchant(self, address: str) -> int | None:
        """Whose address it is. A guess dies before the database but for the look at the turn."""
        local, _, domain = address.lower().rpartition("@")
        found = _LOCAL.fullmatch(local)
        if found is None or domain != domain_of(self._office):
            return None
        merchant_id = int(found[1])
        turn = await _turn(self._office, merchant_id)
        known = "" if turn is None else _secret(self._office, merchant_id, turn)
        return merchant_id if hmac.compare_digest(known, found[2]) else None


def _actor(merchant_id: int, sender: str) -> Actor:
    """Who mailed, in list and trail: the sender as the mail names him, which proves nothing, masked."""
    return Actor(merchant_id, None, masked(sender)[:100] if "@" in sender else "邮件")


def _answer(taken: list[Taken]) -> str:
    kept, known = (sum(one.done == done for one in taken) for done in ("kept", "known"))
    if not kept and not known:
        causes = ", ".join(dict.fromkeys(one.refusals[0].cause for one in taken))[:200]
        return f"554 5.6.0 nothing in it is an invoice: {causes}"
    return f"250 2.0.0 {kept} kept, {known} known before, {len(taken) - kept - known} not taken"
