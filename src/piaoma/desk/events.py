"""The audit trail (操作记录): who did what, when, and what a setting was before and after.

A row is written in the transaction of what it tells, so neither can be there alone. Rows are added, never changed.
"""

from __future__ import annotations

import ipaddress
import secrets
import time as clock
from collections.abc import Mapping
from datetime import date, datetime, time, timedelta
from typing import TYPE_CHECKING

import msgspec

from piaoma.delivery import masked
from piaoma.store import Also, Transaction, milliseconds

from .filters import Conditions
from .page import Page, cut, resume

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50
KIND_MAX = 40  # characters of a kind that is looked for
VALUE_MAX = 200  # characters of a value that is kept
CHANCE_BITS = 10  # of an id, below its microsecond

# Fields whose values are shown to nobody, and those of which only the end is shown.
_SECRET = frozenset({"password", "pin", "secret", "token"})
_SHORTENED = frozenset({"account"})


class Actor(msgspec.Struct, frozen=True):
    """Who acts for a merchant, and from where. ``address`` is masked already."""

    merchant_id: int
    person_id: int | None
    name: str
    address: str = ""
    shop_id: int | None = None
    till_id: int | None = None


class Event(msgspec.Struct, frozen=True):
    """A row of the trail as people read it."""

    event_id: int
    at: datetime
    kind: str
    person_name: str
    subject: str
    before: Mapping[str, str]
    after: Mapping[str, str]
    address: str


class _Details(msgspec.Struct, frozen=True, omit_defaults=True):
    before: Mapping[str, str] = {}
    after: Mapping[str, str] = {}


_RECORD = """
INSERT INTO events (merchant_id, event_id, at_ms, kind, person_id, person_name, subject, details, address)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
"""


async def record(
    transaction: Transaction, actor: Actor, now: datetime, kind: str, subject: str = "",
    before: Mapping[str, object] | None = None, after: Mapping[str, object] | None = None,
) -> None:  # fmt: skip
    """Tell what is done in this transaction. Of ``before`` and ``after`` only what differs is kept, secrets masked."""
    old, new = before or {}, after or {}
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    details = _Details(
        {name: _shown(name, old[name]) for name in names if name in old},
        {name: _shown(name, new[name]) for name in names if name in new},
    )
    # The office's clock has whole seconds; what happens within one keeps its order by the machine's.
    event_id = clock.time_ns() // 1_000 << CHANCE_BITS | secrets.randbits(CHANCE_BITS)
    await transaction.execute(
        _RECORD, actor.merchant_id, event_id, milliseconds(now), kind, actor.person_id, actor.name,
        subject[:VALUE_MAX], msgspec.json.encode(details).decode(), actor.address,
    )  # fmt: skip


def telling(
    office: Office, actor: Actor | None, kind: str, subject: str = "", before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> Also | None:  # fmt: skip
    """The same for a transaction of the store, which does not know the trail; None when nobody acts."""
    if actor is None:
        return None

    async def tell(transaction: Transaction) -> None:
        await record(transaction, actor, office.now(), kind, subject, before, after)

    return tell


async def note(
    office: Office, actor: Actor, kind: str, subject: str = "", before: Mapping[str, object] | None = None,
    after: Mapping[str, object] | None = None,
) -> None:  # fmt: skip
    """Tell what is on disk already: of verbs that take several transactions, or leave the channel to finish them."""
    async with office.database.write() as transaction:
        await record(transaction, actor, office.now(), kind, subject, before, after)


def _shown(name: str, value: object) -> str:
    """A value as the trail keeps it."""
    text = str(value)[:VALUE_MAX]
    if not text:
        return ""
    if name in _SECRET:
        return "***"
    if name in _SHORTENED:
        return f"***{text[-4:]}" if len(text) > 4 else "***"
    return masked(text) if name == "email" else text


def masked_address(address: str) -> str:
    """An IP address as lists show it: its network, not the machine. Empty for what is no address."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return ""
    if parsed.version == 4:
        return ".".join([*str(parsed).split(".")[:3], "*"])
    return ":".join([*parsed.exploded.split(":")[:3], "*"])


async def list_events(
    office: Office, merchant_id: int, *, kind: str = "", text: str = "", since: date | None = None,
    until: date | None = None, cursor: str = "",
) -> Page[Event]:  # fmt: skip
    """The merchant's trail, newest first. ``kind`` is one, or the beginning of several up to its dot (``code.``)."""
    before_id, _ = resume(cursor)
    zone = office.now().tzinfo
    where = _where(office, merchant_id, kind, text, since, until)
    where.add("event_id < {0}", before_id)
    rows = await office.database.read(
        "SELECT event_id, at_ms, kind, person_name, subject, details, address FROM events"  # noqa: S608
        f" WHERE {where} ORDER BY event_id DESC LIMIT {LIST_MAX + 1}",
        *where.values,
    )
    found = []
    for row in rows:
        details = msgspec.json.decode(row[5], type=_Details)
        at = datetime.fromtimestamp(row[1] / 1000, zone)
        found.append(Event(row[0], at, row[2], row[3], row[4], details.before, details.after, row[6]))
    return cut(found, LIST_MAX, lambda one: (one.event_id, 0))


async def count_events(
    office: Office, merchant_id: int, kind: str, text: str, since: date | None, until: date | None
) -> int:
    """How many of them there are."""
    where = _where(office, merchant_id, kind, text, since, until)
    rows = await office.database.read(f"SELECT count(*) FROM events WHERE {where}", *where.values)  # noqa: S608
    return int(rows[0][0])


def _where(
    office: Office, merchant_id: int, kind: str, text: str, since: date | None, until: date | None
) -> Conditions:
    where, zone = Conditions("merchant_id = {0}", merchant_id), office.now().tzinfo
    if kind:
        where.add("substr(kind, 1, length({0})) = {0}", kind[:KIND_MAX])
    where.add_text(text, ("person_name", "subject"))
    if since is not None:
        where.add("at_ms >= {0}", milliseconds(datetime.combine(since, time(), zone)))
    if until is not None:
        where.add("at_ms < {0}", milliseconds(datetime.combine(until + timedelta(days=1), time(), zone)))
    return where
