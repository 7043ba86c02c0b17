"""The platform's trail (运营记录): what operators did to the platform as a whole. Rows are added, never changed.

What an operator does to one merchant stands in that merchant's own trail, where the merchant reads it, and here.
"""

from __future__ import annotations

import secrets
import time
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from piaoma.store import Transaction, milliseconds

from .page import Page, cut, resume
from .sessions import Session

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50
TOLD_MAX = 300  # characters of what is told of an act
_CHANCE_BITS = 10


class Act(msgspec.Struct, frozen=True):
    """Something an operator did."""

    event_id: int
    at: datetime
    kind: str
    person_name: str
    subject: str
    details: str


async def record_act(
    transaction: Transaction, operator: Session, now: datetime, kind: str, subject: str = "", details: str = ""
) -> None:
    """Tell what is done in this transaction."""
    event_id = time.time_ns() // 1_000 << _CHANCE_BITS | secrets.randbits(_CHANCE_BITS)
    await transaction.execute(
        "INSERT INTO platform_events (event_id, at_ms, kind, person_id, person_name, subject, details)"
        " VALUES ($1, $2, $3, $4, $5, $6, $7)",
        event_id, milliseconds(now), kind, operator.person_id, operator.name, subject[:TOLD_MAX], details[:TOLD_MAX],
    )  # fmt: skip


async def list_acts(office: Office, cursor: str = "") -> Page[Act]:
    """The trail, newest first."""
    before_id, _ = resume(cursor)
    rows = await office.database.read(
        "SELECT event_id, at_ms, kind, person_name, subject, details FROM platform_events WHERE event_id < $1"
        " ORDER BY event_id DESC LIMIT $2",
        before_id, LIST_MAX + 1,
    )  # fmt: skip
    zone = office.now().tzinfo
    found = [Act(row[0], datetime.fromtimestamp(row[1] / 1000, zone), row[2], row[3], row[4], row[5]) for row in rows]
    return cut(found, LIST_MAX, lambda one: (one.event_id, 0))
