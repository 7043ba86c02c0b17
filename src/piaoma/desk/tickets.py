"""Tickets (工单) and feedback (反馈): what somebody tells support, with what belongs to it, and what support answers.

Whoever works for a merchant finds them in the console; anybody else by a link whose secret only he has. Support sees
what was told and what came along, never an invoice, unless the merchant lets it look at that one for three days.
"""

from __future__ import annotations

import hmac
import secrets
import time
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.refusal import refuse
from piaoma.store import Row, Transaction, milliseconds, write_block

from .deliver import check_address
from .events import Actor, record
from .notices import NOBODY, Content, add_notice
from .page import Page, cut, resume
from .platform_trail import record_act
from .relations import standing
from .sessions import Session, digest

if TYPE_CHECKING:
    from .office import Office

LINE_MAX = 500  # characters of what is told, and of an answer
CONTEXT_MAX = 300  # characters of each thing that comes along
OPEN_MAX = 20  # tickets of one merchant that wait for support
NOTES_MAX = 100  # of one ticket
LOOK_DAYS_MAX = 3  # that support may look at the invoice of a ticket
LIST_MAX = 50
SUMMARY_DAYS = 30
SUPPORT_NAME = "客服"


class Topic(StrEnum):
    """What it is about: the seven pages of frequent questions, and feedback."""

    LOG_IN = "cannot-log-in"
    CODE = "code-fails"
    DATA = "wrong-data"
    SCAN = "cannot-scan"
    SLOW = "slow"
    VERSION = "old-version"
    OTHER = "complex"
    GOOD = "feedback-good"
    BAD = "feedback-bad"

    @property
    def feedback(self) -> bool:
        return self in (Topic.GOOD, Topic.BAD)


class TicketState(StrEnum):
    """Where a ticket stands: support's turn, the asker's, over."""

    OPEN = "open"  # 等客服回复
    ANSWERED = "answered"  # 客服已回复
    CLOSED = "closed"  # 已解决


class Context(msgspec.Struct, frozen=True):
    """What comes along by itself. ``system`` is how the checks came out, name → light."""

    page: str = ""
    cause: str = ""
    request_id: str = ""
    version: str = ""
    device: str = ""
    system: Mapping[str, str] = {}

    def bounded(self) -> Context:
        system = {name[:40]: light[:10] for name, light in list(self.system.items())[:30]}
        return Context(
            self.page[:CONTEXT_MAX], self.cause[:CONTEXT_MAX], self.request_id[:CONTEXT_MAX],
            self.version[:CONTEXT_MAX], self.device[:CONTEXT_MAX], system,
        )  # fmt: skip


class Note(msgspec.Struct, frozen=True):
    """An answer or a further word. ``link`` leads to the page where it is done."""

    by_support: bool
    person_name: str
    text: str
    link: str
    at: datetime


class Ticket(msgspec.Struct, frozen=True):
    """A ticket. ``contact`` says whether an address is known, not which; ``look_until`` until when support may see
    the invoice ``number``."""

    merchant_id: int
    ticket_id: int
    topic: Topic
    state: TicketState
    line: str
    context: Context
    contact: bool
    person_name: str
    number: str
    look_until: datetime | None
    opened_at: datetime
    changed_at: datetime
    notes: tuple[Note, ...] = ()

    @property
    def shown_id(self) -> str:
        """As people read it out: ``T-3F2A-91C0``."""
        digits = f"{self.ticket_id:08X}"
        return f"T-{digits[:4]}-{digits[4:]}"


class Opened(msgspec.Struct, frozen=True):
    """A new ticket; ``secret`` opens it for whoever has no account."""

    merchant_id: int
    ticket_id: int
    secret: str


async def open_ticket(
    office: Office, session: Session | None, topic: str, line: str, context: Context, *, contact: str = "",
    number: str = "",
) -> Opened:  # fmt: skip
    """Tell support something. The same words to the same topic while they wait are one ticket.

    Raises ``Refused`` TICKET-EMPTY, TICKET-TOO-MANY, MAIL-ADDRESS, INVOICE-NOT-FOUND for a number of somebody else.
    """
    chosen = Topic(topic) if topic in set(Topic) else Topic.OTHER
    line = line.strip()[:LINE_MAX]
    if not line and not chosen.feedback:
        raise refuse("TICKET-EMPTY", "line")
    address = check_address(contact) if contact.strip() else ""
    merchant_id = session.merchant_id if session is not None else NOBODY
    number = "".join(number.split())
    if number and (session is None or await standing(office.database, merchant_id, number) is None):
        raise refuse("INVOICE-NOT-FOUND", "number")
    secret = secrets.token_urlsafe(18)
    now = office.now()
    row = (
        merchant_id, secrets.randbits(32), digest(secret), chosen.value, line,
        msgspec.json.encode(context.bounded()).decode(), address, session.person_id if session else None,
        session.name if session else "", number, milliseconds(now),
    )  # fmt: skip

    async def work(transaction: Transaction) -> Opened:
        if session is not None:
            waiting = await transaction.fetch(_WAITING, merchant_id)
            for one in waiting:
                if (one[1], one[2], one[3]) == (chosen.value, line, number):
                    return Opened(merchant_id, one[0], "")
            if len(waiting) >= OPEN_MAX:
                raise refuse("TICKET-TOO-MANY", "line", have=OPEN_MAX)
        await transaction.execute(_ADD, *row)
        if session is not None:
            await record(transaction, session.actor, now, "ticket.open", f"{row[1]:08X}", after={"topic": chosen.value})
        return Opened(merchant_id, row[1], secret)

    return await write_block(office.database, work)


_WAITING = "SELECT ticket_id, topic, line, number FROM tickets WHERE merchant_id = $1 AND state = 'open'"
_ADD = """
INSERT INTO tickets (merchant_id, ticket_id, secret_hash, topic, line, context, contact, person_id, person_name, number,
                     opened_at_ms, changed_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $11)
"""
_SELECT = """
SELECT merchant_id, ticket_id, topic, state, line, context, contact, person_name, number, look_until_ms, opened_at_ms,
       changed_at_ms, secret_hash FROM tickets
"""


async def ticket(office: Office, merchant_id: int, ticket_id: int) -> Ticket:
    """A merchant's ticket, with what was answered. Raises ``Refused`` TICKET-NOT-FOUND."""
    row = await office.database.read_by_key(
        f"{_SELECT} WHERE merchant_id = $1 AND ticket_id = $2", merchant_id, ticket_id
    )
    if row is None:
        raise refuse("TICKET-NOT-FOUND")
    return msgspec.structs.replace(_ticket(office, row), notes=await _notes(office, merchant_id, ticket_id))


async def ticket_by_link(office: Office, ticket_id: int, secret: str) -> Ticket:
    """The ticket of whoever has no account. Raises ``Refused`` TICKET-NOT-FOUND, whichever of the two is wrong."""
    row = await office.database.read_by_key(f"{_SELECT} WHERE merchant_id = $1 AND ticket_id = $2", NOBODY, ticket_id)
    if row is None or not hmac.compare_digest(row["secret_hash"], digest(secret)):
        raise refuse("TICKET-NOT-FOUND")
    return msgspec.structs.replace(_ticket(office, row), notes=await _notes(office, NOBODY, ticket_id))


async def _notes(office: Office, merchant_id: int, ticket_id: int) -> tuple[Note, ...]:
    rows = await office.database.read(
        "SELECT by_support, person_name, text, link, at_ms FROM ticket_notes WHERE merchant_id = $1 AND ticket_id = $2"
        " ORDER BY at_ms, note_id",
        merchant_id, ticket_id,
    )  # fmt: skip
    zone = office.now().tzinfo
    return tuple(
        Note(bool(row[0]), row[1], row[2], row[3], datetime.fromtimestamp(row[4] / 1000, zone)) for row in rows
    )


async def list_tickets(office: Office, merchant_id: int, cursor: str = "") -> Page[Ticket]:
    """A merchant's tickets, the newest first."""
    before_ms, before_id = resume(cursor)
    rows = await office.database.read(
        f"{_SELECT} WHERE merchant_id = $1 AND (opened_at_ms < $2 OR opened_at_ms = $2 AND ticket_id < $3)"
        " ORDER BY opened_at_ms DESC, ticket_id DESC LIMIT $4",
        merchant_id, before_ms, before_id, LIST_MAX + 1,
    )  # fmt: skip
    return cut(
        [_ticket(office, row) for row in rows], LIST_MAX, lambda one: (milliseconds(one.opened_at), one.ticket_id)
    )


async def all_tickets(office: Office, state: str, cursor: str = "") -> Page[Ticket]:
    """Everybody's tickets in a state, for support; the newest first."""
    before_ms, before_id = resume(cursor)
    rows = await office.database.read(
        f"{_SELECT} WHERE state = $1 AND (changed_at_ms < $2 OR changed_at_ms = $2 AND ticket_id < $3)"
        " ORDER BY changed_at_ms DESC, ticket_id DESC LIMIT $4",
        state if state in set(TicketState) else "open", before_ms, before_id, LIST_MAX + 1,
    )  # fmt: skip
    return cut(
        [_ticket(office, row) for row in rows], LIST_MAX, lambda one: (milliseconds(one.changed_at), one.ticket_id)
    )


async def say_more(office: Office, found: Ticket, by: Actor | None, text: str) -> None:
    """A further word of whoever asked; it is support's turn again. Raises ``Refused`` TICKET-EMPTY, TICKET-TOO-MANY."""
    await _add_note(office, found, by, text, TicketState.OPEN)


async def close_ticket(office: Office, found: Ticket, by: Actor | None) -> None:
    """It helped: the ticket is over. A further word opens it again."""
    async with office.database.write() as transaction:
        await transaction.execute(_SET_STATE, found.merchant_id, found.ticket_id, "closed", milliseconds(office.now()))
        if by is not None:
            await record(
                transaction, by, office.now(), "ticket.reply", f"{found.ticket_id:08X}", after={"state": "closed"}
            )


async def let_look(office: Office, found: Ticket, by: Actor, *, allowed: bool) -> None:
    """Let support look at the invoice of the ticket for ``LOOK_DAYS_MAX`` days, or no more."""
    now = office.now()
    until = milliseconds(now + timedelta(days=LOOK_DAYS_MAX)) if allowed and found.number else None
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE tickets SET look_until_ms = $3 WHERE merchant_id = $1 AND ticket_id = $2",
            found.merchant_id, found.ticket_id, until,
        )  # fmt: skip
        told = {"look": f"{LOOK_DAYS_MAX} days" if until else "no"}
        await record(transaction, by, now, "ticket.reply", f"{found.ticket_id:08X}", after=told)


async def answer(office: Office, operator: Session, found: Ticket, text: str, *, link: str = "") -> None:
    """Support's answer: on the ticket's page, and by mail where an address was left. ``link`` leads the merchant to the
    page where he does it, and stands in his trail as support's advice.

    Raises ``Refused`` TICKET-EMPTY, TICKET-TOO-MANY.
    """
    by = Actor(found.merchant_id, operator.person_id, operator.name) if found.merchant_id != NOBODY else None
    await _add_note(office, found, by, text, TicketState.ANSWERED, operator=operator, link=link)


async def look(office: Office, operator: Session, found: Ticket) -> bytes:
    """The invoice of a ticket, as PDF, for support, while the merchant lets it; he reads in his trail that it looked.

    Raises ``Refused`` TICKET-NO-CONSENT.
    """
    if found.look_until is None or found.look_until <= office.now():
        raise refuse("TICKET-NO-CONSENT")
    async with office.database.write() as transaction:
        actor = Actor(found.merchant_id, operator.person_id, operator.name)
        await record(transaction, actor, office.now(), "ticket.look", found.number)
        await record_act(transaction, operator, office.now(), "ticket.look", found.number)
    return await office.view(found.merchant_id, found.number, "pdf")


async def _add_note(
    office: Office, found: Ticket, by: Actor | None, text: str, state: TicketState, *, operator: Session | None = None,
    link: str = "",
) -> None:  # fmt: skip
    by_support = operator is not None
    text = text.strip()[:LINE_MAX]
    if not text and not link:
        raise refuse("TICKET-EMPTY", "text")
    if len(found.notes) >= NOTES_MAX:
        raise refuse("TICKET-TOO-MANY", "text", have=NOTES_MAX)
    now = office.now()
    now_ms = milliseconds(now)
    async with office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO ticket_notes (merchant_id, ticket_id, note_id, by_support, person_name, text, link, at_ms)"
            " VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
            found.merchant_id, found.ticket_id, time.time_ns() // 1_000, int(by_support),
            SUPPORT_NAME if by_support else (by.name if by else ""), text, link, now_ms,
        )  # fmt: skip
        await transaction.execute(_SET_STATE, found.merchant_id, found.ticket_id, state.value, now_ms)
        if by is not None:
            kind = "ticket.answer" if by_support else "ticket.reply"
            await record(transaction, by, now, kind, f"{found.ticket_id:08X}", after={"link": link} if link else None)
        if operator is not None:
            await record_act(transaction, operator, now, "ticket.answer", found.shown_id)
            rows = await transaction.fetch(
                "SELECT contact FROM tickets WHERE merchant_id = $1 AND ticket_id = $2",
                found.merchant_id,
                found.ticket_id,
            )
            if rows[0][0]:
                await add_notice(transaction, rows[0][0], _letter(office, found, text), now, found.merchant_id)


_SET_STATE = "UPDATE tickets SET state = $3, changed_at_ms = $4 WHERE merchant_id = $1 AND ticket_id = $2"


def _letter(office: Office, found: Ticket, text: str) -> Content:
    """The answer as a mail. Whoever has an account is led to it; nobody's secret link goes by mail."""
    place = f"\n\n{office.config.base_url}/console/support/{found.ticket_id}" if found.merchant_id != NOBODY else ""
    return Content(
        f"票码客服回复了 {found.shown_id} · Support has answered", f"{text}\n\n{found.shown_id}：{found.line}{place}\n"
    )


def _ticket(office: Office, row: Row) -> Ticket:
    zone = office.now().tzinfo

    def moment(ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, zone)

    return Ticket(
        merchant_id=row[0],
        ticket_id=row[1],
        topic=Topic(row[2]),
        state=TicketState(row[3]),
        line=row[4],
        context=msgspec.json.decode(row[5], type=Context),
        contact=bool(row[6]),
        person_name=row[7],
        number=row[8],
        look_until=moment(row[9]) if row[9] else None,
        opened_at=moment(row[10]),
        changed_at=moment(row[11]),
    )


async def month_by_topic(office: Office) -> list[tuple[Topic, int, int]]:
    """The last thirty days: topic, how many came, how many of them wait. For support's summary."""
    since = milliseconds(office.now() - timedelta(days=SUMMARY_DAYS))
    rows = await office.database.read(
        "SELECT topic, count(*), sum(CASE WHEN state = 'open' THEN 1 ELSE 0 END) FROM tickets WHERE opened_at_ms >= $1"
        " GROUP BY topic ORDER BY count(*) DESC, topic",
        since,
    )
    return [(Topic(row[0]), int(row[1]), int(row[2])) for row in rows]
