"""Monthly summaries (汇总确认): when a month is over and its invoices are with the platform, its sums are confirmed.

Where the platform's figures are others, the month stands as 有差异, and is tried again a day later.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import msgspec
import structlog

from piaoma.channels import MonthSummary, Numbering, Unavailable
from piaoma.invoice.money import from_fen
from piaoma.invoice.refusal import Refused
from piaoma.store import Row, channel_since_ms, milliseconds, month_of

from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

SUMMARY_SECONDS = 60.0  # between two looks
SUMMARIES_MAX = 100  # merchants in one turn
DIFFERS_HOURS = 24  # until a month that differs is tried again

# Only what this channel was told of: samples of another one are no part of its books.
_DUE = """
SELECT i.merchant_id, m.taxpayer_id,
       sum(CASE WHEN i.corrects IS NULL THEN 1 ELSE 0 END),
       sum(CASE WHEN i.corrects IS NULL THEN i.amount_fen ELSE 0 END),
       sum(CASE WHEN i.corrects IS NULL THEN i.tax_fen ELSE 0 END),
       sum(CASE WHEN i.corrects IS NULL THEN 0 ELSE 1 END),
       sum(CASE WHEN i.corrects IS NULL THEN 0 ELSE i.amount_fen END),
       sum(CASE WHEN i.corrects IS NULL THEN 0 ELSE i.tax_fen END)
FROM invoices i JOIN merchants m ON m.merchant_id = i.merchant_id
LEFT JOIN month_summaries s ON s.merchant_id = i.merchant_id AND s.month = i.month
WHERE i.month = $1 AND i.issued_at_ms >= $2 AND (s.month IS NULL OR s.next_at_ms <= $3)
AND NOT EXISTS (SELECT 1 FROM jobs j WHERE j.merchant_id = i.merchant_id AND j.kind = 'report' AND j.state = 'waiting')
GROUP BY i.merchant_id, m.taxpayer_id ORDER BY i.merchant_id LIMIT $4
"""
_RECORD = """
INSERT INTO month_summaries (merchant_id, month, state, figures, changed_at_ms, next_at_ms)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (merchant_id, month) DO UPDATE
SET state = excluded.state, figures = excluded.figures, changed_at_ms = excluded.changed_at_ms,
    next_at_ms = excluded.next_at_ms
"""

_log = structlog.get_logger("piaoma.summaries")


async def keep_confirming(office: Office) -> None:
    """Confirm months, until cancelled."""
    await take_turns(_log, SUMMARY_SECONDS, lambda: confirm_once(office))


async def confirm_once(office: Office) -> int:
    """Confirm last month for every merchant that is ready; how many were told to the channel."""
    if await office.numbering() is not Numbering.POOL:
        return 0  # whoever issues by call sums up by itself
    month = last_month(office.now())
    since_ms, now_ms = await channel_since_ms(office.database), milliseconds(office.now())
    rows = await office.database.read(_DUE, month, since_ms, now_ms, SUMMARIES_MAX)
    for row in rows:
        try:
            await _confirm(office, month, row)
        except (Unavailable, Refused) as fault:
            _log.warning("month not confirmed", merchant=row[0], month=month, reason=str(fault))
    return len(rows)


async def _confirm(office: Office, month: str, row: Row | Sequence[int]) -> None:
    yuan = [from_fen(int(row[place])) for place in (3, 4, 6, 7)]
    summary = MonthSummary(str(row[1]), month, int(row[2]), yuan[0], yuan[1], int(row[5]), yuan[2], yuan[3])
    agrees = await office.channel.confirm_month(summary)
    if not agrees:
        _log.error("the platform has other figures for a month", merchant=row[0], month=month)
    now = office.now()
    next_ms = None if agrees else milliseconds(now + timedelta(hours=DIFFERS_HOURS))
    async with office.database.write() as transaction:
        await transaction.execute(
            _RECORD, row[0], month, "confirmed" if agrees else "differs", msgspec.json.encode(summary).decode(),
            milliseconds(now), next_ms,
        )  # fmt: skip


def last_month(now: datetime) -> str:
    """The calendar month before, as ``2026-10``."""
    return month_of(now.replace(day=1) - timedelta(days=1))
