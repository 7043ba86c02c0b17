"""The board (看板): what happened today and lately, from figures that are summed up already."""

from __future__ import annotations

import time as clock
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma import index
from piaoma.channels import SessionState, Unavailable
from piaoma.invoice.money import from_fen
from piaoma.store import milliseconds

from . import failures, findings, receipts
from .codes import STAGES
from .indexing import catch_up

if TYPE_CHECKING:
    from .office import Office

DAYS_SHOWN = 14
FUNNEL_DAYS = 7
ITEMS_SHOWN = 8
MAIL_DAYS = 30
CHANNEL_SECONDS = 2.0  # how long what the channel said of itself is taken for granted
DAY_MS = 86_400_000  # Asia/Shanghai has no summer time


class Day(msgspec.Struct, frozen=True):
    """A day's invoices; yuan, tax included."""

    day: date
    count: int
    total: Decimal


class Funnel(msgspec.Struct, frozen=True):
    """Codes made since a moment, and how far they came."""

    made: int
    scanned: int
    confirmed: int
    issued: int


class Board(msgspec.Struct, frozen=True):
    """Everything on the first page of the console. ``missing`` invoices are issued and not counted yet."""

    today: Day
    days: tuple[Day, ...]
    codes_today: Funnel
    funnel: Funnel
    open_count: int
    pending_count: int
    oldest_pending: datetime | None
    dead_jobs: int
    waits: tuple[tuple[int, int], ...]
    refusals: tuple[tuple[str, int], ...]
    items: tuple[tuple[str, int, Decimal], ...]
    mails: tuple[tuple[str, int], ...]
    findings: int
    channel: SessionState
    missing: int

    state: str

    @property
    def delivered_percent(self) -> int | None:
        """Of the mails whose delivery ended; None when none has."""
        counted = dict(self.mails)
        ended = counted["sent"] + counted["failed"]
        return counted["sent"] * 100 // ended if ended else None


async def state_of(office: Office, merchant_id: int) -> str:
    """Changes whenever a figure does that people watch; asked for again and again while somebody does."""
    await catch_up(office)
    now = office.now()
    sums = await index.sums(office.database, merchant_id, "day", now.date(), now.date())
    made, open_count = await _funnel(office, merchant_id, _midnight_ms(now))
    pending, _, dead = await _open_ends(office, merchant_id)
    found, channel = await findings.open_count(office, merchant_id), await channel_state(office)
    return _state(sums[0].invoices if sums else 0, made, open_count, (pending, dead, found), channel)


def _state(issued: int, codes: Funnel, open_count: int, ends: tuple[int, int, int], channel: SessionState) -> str:
    pending, dead, found = ends
    counted = f"{issued}-{codes.made}-{codes.scanned}-{codes.issued}-{open_count}-{pending}-{dead}-{found}"
    return f"{counted}-{channel.value}"


async def channel_state(office: Office) -> SessionState:
    """Whether the channel can be used, asked at most every ``CHANNEL_SECONDS`` however many look on."""
    asked, known = office.channel_known
    if clock.monotonic() - asked >= CHANNEL_SECONDS:
        try:
            known = await office.channel.session_state()
        except Unavailable:
            known = SessionState.DOWN
        office.channel_known = (clock.monotonic(), known)
    return known


def _midnight_ms(now: datetime) -> int:
    return milliseconds(now.replace(hour=0, minute=0, second=0, microsecond=0))


async def board(office: Office, merchant_id: int) -> Board:
    """The board as it stands now."""
    missing = await catch_up(office)
    now = office.now()
    day = now.date()
    first = day - timedelta(days=DAYS_SHOWN - 1)
    sums = {one.value: one for one in await index.sums(office.database, merchant_id, "day", first, day)}
    days = tuple(_day(first + timedelta(days=offset), sums) for offset in range(DAYS_SHOWN))
    midnight_ms = _midnight_ms(now)
    codes_today, open_count = await _funnel(office, merchant_id, midnight_ms)
    funnel, _ = await _funnel(office, merchant_id, midnight_ms - (FUNNEL_DAYS - 1) * DAY_MS)
    pending, oldest, dead = await _open_ends(office, merchant_id)
    waited = await index.waits(office.database, merchant_id, first, day)
    found, channel = await findings.open_count(office, merchant_id), await channel_state(office)
    items = await index.top_items(office.database, merchant_id, f"{day:%Y-%m}", ITEMS_SHOWN)
    return Board(
        today=days[-1],
        days=days,
        codes_today=codes_today,
        funnel=funnel,
        open_count=open_count,
        pending_count=pending,
        oldest_pending=oldest,
        dead_jobs=dead,
        waits=tuple((bound, waited.get(bound, 0)) for bound in index.WAIT_BOUNDS_S),
        refusals=await failures.by_cause(office, merchant_id),
        items=tuple((item, count, from_fen(total)) for item, count, total in items),
        mails=await receipts.figures(office, merchant_id, now - timedelta(days=MAIL_DAYS)),
        findings=found,
        channel=channel,
        missing=missing,
        state=_state(days[-1].count, codes_today, open_count, (pending, dead, found), channel),
    )


def _day(day: date, sums: dict[str, index.Sum]) -> Day:
    one = sums.get(day.isoformat())
    return Day(day, one.invoices if one else 0, from_fen(one.total_fen if one else 0))


async def _funnel(office: Office, merchant_id: int, since_ms: int) -> tuple[Funnel, int]:
    rows = await office.database.read(_FUNNEL, merchant_id, since_ms)
    made, scanned, confirmed, issued, still_open = (int(rows[0][column] or 0) for column in range(5))
    return Funnel(made, scanned, confirmed, issued), still_open


_FUNNEL = f"""
SELECT count(*), sum(CASE WHEN {STAGES["scanned"]} THEN 1 ELSE 0 END),
       sum(CASE WHEN {STAGES["confirmed"]} THEN 1 ELSE 0 END),
       sum(CASE WHEN c.state = 'issued' THEN 1 ELSE 0 END), sum(CASE WHEN c.state = 'open' THEN 1 ELSE 0 END)
FROM codes c WHERE c.merchant_id = $1 AND c.created_at_ms >= $2
"""  # noqa: S608


async def _open_ends(office: Office, merchant_id: int) -> tuple[int, datetime | None, int]:
    """Issues whose outcome is open, since when the oldest of them, and deliveries that failed for good."""
    pending = await office.database.read(
        "SELECT count(*), min(submitted_at_ms) FROM issues"
        " WHERE merchant_id = $1 AND state IN ('submitted', 'unknown')",
        merchant_id,
    )
    dead = await office.database.read(
        "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND state = 'dead'", merchant_id
    )
    oldest = pending[0][1]
    zone = office.now().tzinfo
    return pending[0][0], None if oldest is None else datetime.fromtimestamp(oldest / 1000, zone), dead[0][0]
