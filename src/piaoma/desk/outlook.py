"""Outlook (预测): the day on which this month's quota runs out, and how well the same method did last month.

A day is expected to bring what its weekday brought on average in the four weeks before. That is all: it can be worked
out on paper, and its error is told beside it.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma import index
from piaoma.invoice.money import from_fen

from .merchant import Quota

if TYPE_CHECKING:
    from .office import Office

LOOK_BACK_DAYS = 28
TRIAL_DAY = 15  # of last month: what would have been said in the morning of that day


class Outlook(msgspec.Struct, frozen=True):
    """``runs_out`` is None when the quota lasts. Amounts tax-exclusive yuan, for the whole month; the error in percent
    of what last month really came to, None when last month had no invoices."""

    runs_out: date | None
    expected: Decimal
    error_percent: Decimal | None


async def outlook(office: Office, merchant_id: int, quota: Quota) -> Outlook:
    """The outlook as of now."""
    today = office.now().date()
    month = today.replace(day=1)
    earlier = (month - timedelta(days=1)).replace(day=1)
    trial = earlier.replace(day=TRIAL_DAY)
    # The last of four weekdays before a day far ahead lies almost a week further back than four weeks.
    rows = await index.sums(office.database, merchant_id, "day", trial - timedelta(days=LOOK_BACK_DAYS + 7), today)
    spent = {date.fromisoformat(row.value): row.amount_fen for row in rows}
    issued, left = quota.issued + quota.reserved, quota.left
    expected, runs_out = issued, None
    for day, fen in _ahead(spent, today):
        expected += from_fen(fen)
        left -= from_fen(fen)
        if left < 0 and runs_out is None:
            runs_out = day
    return Outlook(today if quota.left <= 0 else runs_out, expected, await _error(office, merchant_id, trial, spent))


def _ahead(spent: Mapping[date, int], today: date) -> list[tuple[date, int]]:
    """What the days from tomorrow to the end of the month are expected to bring, in fen."""
    days, day = [], today + timedelta(days=1)
    while day.month == today.month:
        same = [spent.get(day - timedelta(days=7 * week), 0) for week in _weeks_before(day, today)]
        days.append((day, sum(same) // len(same)))
        day += timedelta(days=1)
    return days


def _weeks_before(day: date, today: date) -> range:
    """How many weeks back the last four such weekdays lie that are over."""
    first = -(-((day - today).days + 1) // 7)
    return range(first, first + LOOK_BACK_DAYS // 7)


async def _error(office: Office, merchant_id: int, trial: date, spent: Mapping[date, int]) -> Decimal | None:
    """What the same would have said of the whole of last month on its fifteenth, against what came."""
    first, after = trial.replace(day=1), (trial.replace(day=28) + timedelta(days=4)).replace(day=1)
    rows = await index.sums(office.database, merchant_id, "day", first, after - timedelta(days=1))
    real = sum(row.amount_fen for row in rows)
    if real <= 0:
        return None
    known = sum(row.amount_fen for row in rows if row.value < trial.isoformat())
    early = {day: fen for day, fen in spent.items() if day < trial}
    said = known + sum(fen for _, fen in _ahead(early, trial - timedelta(days=1)))
    return (Decimal(said - real) * 100 / real).quantize(Decimal("0.1"))
