"""How the channel stands for one merchant (渠道状态): can it be used, what is in stock, what waits for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from piaoma.channels import Numbering, SessionState, Unavailable
from piaoma.store import numbers_left

from .merchant import Merchant, Quota, quota

if TYPE_CHECKING:
    from .office import Office

MONTHS_SHOWN = 12
OPEN_SHOWN = 20  # of what waits, the oldest first


class Pending(msgspec.Struct, frozen=True):
    """An invoice whose outcome is open: since when, the code that it is of, and what the channel said last."""

    since: datetime
    code_id: int | None
    said: str


class ChannelState(msgspec.Struct, frozen=True):
    """Everything on the page of the channel. ``numbers`` is None where they come with the call.

    ``waiting`` and ``dead`` are invoices that it was not told of yet, and never will be as things are; ``months`` are
    (2026-10, state).
    """

    name: str
    live: bool
    state: SessionState
    numbers: int | None
    quota: Quota | None
    pending: tuple[Pending, ...]
    waiting: int
    dead: tuple[tuple[str, str], ...]
    months: tuple[tuple[str, str], ...]


_PENDING = """
SELECT submitted_at_ms, code_id, said FROM issues WHERE merchant_id = $1 AND state IN ('submitted', 'unknown')
ORDER BY submitted_at_ms LIMIT $2
"""
_WAITING = "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND kind = 'report' AND state = 'waiting'"
_DEAD = """
SELECT number, last_error FROM jobs WHERE merchant_id = $1 AND kind = 'report' AND state = 'dead'
ORDER BY number LIMIT $2
"""
_MONTHS = "SELECT month, state FROM month_summaries WHERE merchant_id = $1 ORDER BY month DESC LIMIT $2"


async def channel_state(office: Office, shop: Merchant) -> ChannelState:
    """As it stands now: the channel is asked for the quota first, so that its state is not an old one."""
    left = await quota(office, shop)
    read, merchant_id = office.database.read, shop.merchant_id
    try:
        pool = await office.channel.numbering() is Numbering.POOL
    except Unavailable:
        pool = False
    zone = office.now().tzinfo
    return ChannelState(
        name=office.channel.name,
        live=office.config.live,
        state=await office.channel.session_state(),
        numbers=await numbers_left(office.database, merchant_id, f"{office.now():%y}") if pool else None,
        quota=left,
        pending=tuple(
            Pending(datetime.fromtimestamp(row[0] / 1000, zone), row[1], row[2])
            for row in await read(_PENDING, merchant_id, OPEN_SHOWN)
        ),
        waiting=(await read(_WAITING, merchant_id))[0][0],
        dead=tuple((row[0], row[1]) for row in await read(_DEAD, merchant_id, OPEN_SHOWN)),
        months=tuple((row[0], row[1]) for row in await read(_MONTHS, merchant_id, MONTHS_SHOWN)),
    )
