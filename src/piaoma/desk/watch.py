"""Watching (值守): the facts of each merchant's day are put before the rules of ``anomalies``; what they find is kept.

Everything comes from records that are there anyway: invoices, codes, failures, jobs, quotas. A finding has one row
however often it is found and by however many processes; whoever marked it is not asked again.
"""

from __future__ import annotations

import asyncio
import time as clock
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from piaoma import index
from piaoma.anomalies import Facts, Failure, Finding, Quota, Sale, find_all
from piaoma.channels import Numbering, Unavailable
from piaoma.invoice.money import to_fen
from piaoma.invoice.refusal import Refused
from piaoma.store import Row, milliseconds, numbers_left

from . import alerts, devices, failures
from .findings import watching
from .indexing import catch_up
from .merchant import Merchant, merchant, quota
from .outlook import outlook
from .stock import fetch_numbers
from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

LOOK_SECONDS = 60
NOTE_SECONDS = 1.0
TIDY_SECONDS = 3_600
SALES_MAX = 20_000  # of one day, the newest; a rule that needs more would speak long before
WEEKS = 4  # that a day is compared with
USUAL_DAYS = 28
AHEAD_SHARE = 10  # a block is asked for when less than a tenth of one is left
UNKNOWN_MAX = 1_000
DEAD_MAX = 1_000

_log = structlog.get_logger("piaoma.watch")


async def keep_watch(office: Office) -> None:
    """Look at whoever's day moved, every minute, until cancelled."""
    since_ms = 0
    tidied = -float(TIDY_SECONDS)

    async def turn() -> None:
        nonlocal since_ms, tidied
        from_ms, since_ms = since_ms, milliseconds(office.now())
        # What was written while the last turn looked is looked at again; before the first, the day's trade.
        first = from_ms - 2 * LOOK_SECONDS * 1000 if from_ms else milliseconds(_midnight(office.now()))
        for merchant_id in await stirring(office, first):
            await look(office, merchant_id)
        await alerts.tell_all(office)
        if clock.monotonic() - tidied > TIDY_SECONDS:
            tidied = clock.monotonic()
            await failures.purge(office)
            await devices.purge(office)

    await asyncio.sleep(LOOK_SECONDS)  # who opens the page looks himself
    await take_turns(_log, LOOK_SECONDS, turn)


async def keep_noting(office: Office) -> None:
    """Write what gathered about failures and devices, every second until cancelled, and once more then."""

    async def write() -> None:
        await failures.write(office)
        await devices.write(office)

    try:
        await take_turns(_log, NOTE_SECONDS, write)
    finally:
        await write()


async def stirring(office: Office, since_ms: int) -> list[int]:
    """Merchants of whom something was written since a moment, or something is open."""
    return [row[0] for row in await office.database.read(_STIRRING, since_ms)]


_STIRRING = """
SELECT m.merchant_id FROM merchants m WHERE
  EXISTS (SELECT 1 FROM invoices i WHERE i.merchant_id = m.merchant_id AND i.issued_at_ms >= $1)
  OR EXISTS (SELECT 1 FROM failures f WHERE f.merchant_id = m.merchant_id AND f.at_ms >= $1)
  OR EXISTS (SELECT 1 FROM issues s WHERE s.merchant_id = m.merchant_id AND s.state IN ('submitted', 'unknown'))
  OR EXISTS (SELECT 1 FROM jobs j WHERE j.merchant_id = m.merchant_id AND j.state = 'dead')
ORDER BY m.merchant_id
"""


async def look(office: Office, merchant_id: int) -> list[Finding]:
    """Put the merchant's day before his rules and keep what they find. What was found before gets its new figures
    while nobody has marked it."""
    chosen = await watching(office, merchant_id)
    shop = await merchant(office, merchant_id)
    # Of a day with thousands of invoices this takes some hundredths of a second, which nobody else should wait for.
    found = await asyncio.to_thread(find_all, await facts_of(office, shop), chosen.thresholds)
    now_ms = milliseconds(office.now())
    rows = [
        (
            merchant_id, one.finding_id, one.rule, msgspec.json.encode(one.figures).decode(),
            msgspec.json.encode(one.numbers).decode(), one.count, now_ms,
        )
        for one in found
    ]  # fmt: skip
    if rows:
        async with office.database.write() as transaction:
            await transaction.execute_many(_KEEP, rows)
    return found


_KEEP = """
INSERT INTO findings (merchant_id, finding_id, rule, figures, numbers, invoices, found_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7)
ON CONFLICT (merchant_id, finding_id) DO UPDATE SET figures = excluded.figures, numbers = excluded.numbers,
  invoices = excluded.invoices WHERE findings.state = 'open' AND findings.figures <> excluded.figures
"""


async def facts_of(office: Office, shop: Merchant) -> Facts:
    """The facts of a merchant's day as of now."""
    await catch_up(office)
    await devices.write(office)
    now, merchant_id = office.now(), shop.merchant_id
    midnight = _midnight(now)
    rows = await office.database.read(_SALES, merchant_id, milliseconds(midnight), SALES_MAX)
    weekdays, usual, usual_count = await _earlier(office, merchant_id, now)
    failed = await failures.since(office, merchant_id, midnight)
    open_ends = await office.database.read(_UNKNOWN, merchant_id, UNKNOWN_MAX)
    dead = await office.database.read(_DEAD, merchant_id, DEAD_MAX)
    return Facts(
        now=now,
        sales=tuple(_sale(row, now) for row in rows),
        weekdays=weekdays,
        usual=usual,
        usual_count=usual_count,
        failures=tuple(Failure(cause, _moment(at_ms, now)) for cause, at_ms in failed),
        unknown=tuple((row[0], _moment(row[1], now)) for row in open_ends),
        dead=tuple(row[0] for row in dead),
        quota=await _quota(office, shop),
        numbers_left=await _numbers(office, shop, now),
        last_issued=_moment(rows[0]["issued_at_ms"], now) if rows else None,
    )


# Whoever applied at a static code did so on a device of his own too; its digest stands with the application.
_SALES = """
SELECT i.number, i.total_fen, i.issued_at_ms, i.buyer_name, i.buyer_id, c.created_at_ms,
       coalesce(d.device, a.device, '') AS device
FROM invoices i
LEFT JOIN device_days d ON d.merchant_id = i.merchant_id AND d.number = i.number
LEFT JOIN codes c ON c.merchant_id = i.merchant_id AND c.code_id = i.code_id
LEFT JOIN applications a ON a.merchant_id = i.merchant_id AND a.application_id = i.code_id
WHERE i.merchant_id = $1 AND i.issued_at_ms >= $2 ORDER BY i.issued_at_ms DESC LIMIT $3
"""
_UNKNOWN = """
SELECT issue_key, submitted_at_ms FROM issues WHERE merchant_id = $1 AND state IN ('submitted', 'unknown')
ORDER BY submitted_at_ms LIMIT $2
"""
_DEAD = "SELECT number FROM jobs WHERE merchant_id = $1 AND state = 'dead' ORDER BY created_at_ms DESC LIMIT $2"


def _sale(row: Row, now: datetime) -> Sale:
    issued_ms = row["issued_at_ms"]
    made_ms = row["created_at_ms"] if row["created_at_ms"] is not None else issued_ms
    return Sale(
        row["number"], row["total_fen"], _moment(issued_ms, now), _moment(made_ms, now),
        row["buyer_id"] or row["buyer_name"], row["device"],
    )  # fmt: skip


async def _earlier(office: Office, merchant_id: int, now: datetime) -> tuple[tuple[int, ...], int, int]:
    """Totals of the same weekdays before (fen, days without trade left out), and the average blue invoice of late."""
    today = now.date()
    first = today - timedelta(days=USUAL_DAYS)
    days = await index.sums(office.database, merchant_id, "day", first, today - timedelta(days=1))
    wanted = {(today - timedelta(days=7 * week)).isoformat() for week in range(1, WEEKS + 1)}
    weekdays = tuple(day.total_fen for day in days if day.value in wanted and day.total_fen > 0)
    colours = await index.sums(office.database, merchant_id, "colour", first, today - timedelta(days=1))
    blue = next((one for one in colours if one.value == index.BLUE), None)
    return weekdays, blue.total_fen // blue.invoices if blue else 0, blue.invoices if blue else 0


async def _quota(office: Office, shop: Merchant) -> Quota | None:
    month = await quota(office, shop)
    if month is None:
        return None
    ahead = await outlook(office, shop.merchant_id, month)
    return Quota(month.month, to_fen(month.limit), to_fen(month.issued + month.reserved), ahead.runs_out)


async def _numbers(office: Office, shop: Merchant, now: datetime) -> int | None:
    """Take a block ahead of need; how many numbers are left when the channel gives none, otherwise None."""
    year, merchant_id = f"{now:%y}", shop.merchant_id
    left = await numbers_left(office.database, merchant_id, year)
    # With none at all nobody has issued this year: the first who does takes a block.
    if not 0 < left < office.config.number_block // AHEAD_SHARE or await office.numbering() is not Numbering.POOL:
        return None
    try:
        await fetch_numbers(office, merchant_id, shop.taxpayer_id, year, office.config.number_block // AHEAD_SHARE)
    except Unavailable:
        return None  # that the channel is away is told elsewhere, and it may give numbers when it is back
    except Refused:
        return left
    return None


def _midnight(now: datetime) -> datetime:
    return datetime.combine(now.date(), time(), now.tzinfo)


def _moment(ms: int, now: datetime) -> datetime:
    return datetime.fromtimestamp(ms / 1000, now.tzinfo)
