"""Retention (保存与清除): what is kept for how long, what of it is due to be erased, and what never is.

The table is what the page and docs/lawful.md show. Nothing of the first kind has a statement that removes it.
"""

from __future__ import annotations

from datetime import timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.store import milliseconds

from .platform_trail import record_act
from .receipts import CONTACT_DAYS_MAX, purge_contacts
from .sessions import Session

if TYPE_CHECKING:
    from .office import Office

KEEP_YEARS_MIN = 30  # of invoices and everything that proves them
TRAIL_DAYS_MIN = 183  # that security logs are kept, by law; ours are kept for good


class Fate(StrEnum):
    """What becomes of a kind of data."""

    KEPT = "kept"  # 30 years and more: there is no way to remove it
    TRAIL = "trail"  # at least six months by law; never removed
    ERASED = "erased"  # after its time, by itself


class Kept(msgspec.Struct, frozen=True):
    """A kind of data: how many there are, and how many are due. ``name`` is a word of the catalogue, ``keep_NAME``."""

    name: str
    fate: Fate
    days: int
    count: int
    due: int


# What erases itself: the count of all, and of those whose time has come.
_ERASED = {
    "contacts": (
        "SELECT count(*) FROM jobs WHERE kind = 'mail' AND target <> ''",
        "SELECT count(*) FROM jobs WHERE kind = 'mail' AND target <> '' AND state <> 'waiting' AND created_at_ms < $1",
    ),
    "questions": (
        "SELECT count(*) FROM questions WHERE contact <> ''",
        "SELECT count(*) FROM questions WHERE contact <> '' AND asked_at_ms < $1",
    ),
    "applications": (
        "SELECT count(*) FROM applications WHERE email <> ''",
        "SELECT count(*) FROM applications WHERE email <> '' AND state <> 'approved' AND created_at_ms < $1",
    ),
    "tickets": (
        "SELECT count(*) FROM tickets WHERE contact <> ''",
        "SELECT count(*) FROM tickets WHERE contact <> '' AND state <> 'open' AND changed_at_ms < $1",
    ),
    "notices": (
        "SELECT count(*) FROM notices WHERE target <> ''",
        "SELECT count(*) FROM notices WHERE target <> '' AND state <> 'waiting' AND created_at_ms < $1",
    ),
}
_KEPT = {"invoices": "invoices", "numbers": "unused_numbers", "log": "log_leaves", "red_forms": "red_forms"}
_TRAIL = {"events": "events", "acts": "platform_events"}


async def kept(office: Office) -> list[Kept]:
    """The table, with figures of now."""
    found = []
    for fate, tables, days in ((Fate.KEPT, _KEPT, KEEP_YEARS_MIN * 365), (Fate.TRAIL, _TRAIL, TRAIL_DAYS_MIN)):
        for name, table in tables.items():
            rows = await office.database.read(f"SELECT count(*) FROM {table}")  # noqa: S608
            found.append(Kept(name, fate, days, rows[0][0], 0))
    before = milliseconds(office.now() - timedelta(days=CONTACT_DAYS_MAX))
    for name, (all_, due) in _ERASED.items():
        counts = await office.database.read(all_), await office.database.read(due, before)
        found.append(Kept(name, Fate.ERASED, CONTACT_DAYS_MAX, counts[0][0][0], counts[1][0][0]))
    return found


async def purge(office: Office, operator: Session) -> int:
    """Erase now what is due, instead of within the hour; how many addresses. It is told in the platform's trail."""
    erased = await purge_contacts(office)
    async with office.database.write() as transaction:
        await record_act(transaction, operator, office.now(), "retention.purge", "", str(erased))
    return erased
