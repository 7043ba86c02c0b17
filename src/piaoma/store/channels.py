"""Which channel the store issues through (渠道切换), and going over to another: in one transaction, or refused.

What is under way belongs to the channel that it was begun with: another one never heard of its serial, and would take
it for something new. So nothing may be under way; and numbers that are left of a block are burnt with a record.
"""

from __future__ import annotations

from datetime import datetime

from piaoma.invoice.refusal import refuse

from .database import Database, Transaction, write_block
from .plan import milliseconds, month_of
from .renew import BURN, CLOSE_BLOCKS, new_nonce

FIRST = "sandbox"  # what a store issued through before it kept a record of it
_LAST = "SELECT turn, channel, live FROM channels ORDER BY turn DESC LIMIT 1"
_ENTER = (
    "INSERT INTO channels (turn, channel, live, nonce, since_ms) VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING"
)
# The new channel is asked before anything is spent of its quota.
_FORGET_LIMITS = "UPDATE quotas SET limit_fen = issued_fen + reserved_fen WHERE month >= $1"
_UNDER_WAY = """
SELECT (SELECT count(*) FROM issues WHERE state IN ('submitted', 'unknown')),
       (SELECT count(*) FROM red_forms WHERE state IN ('submitted', 'unknown', '01', '02', '03', '04')
        AND issue_key IS NULL),
       (SELECT count(*) FROM jobs WHERE kind = 'report' AND state = 'waiting')
"""


async def enter_channel(database: Database, channel: str, now: datetime, *, live: bool) -> int:
    """Issue through this channel from now on; how many numbers of another one were burnt for it.

    Raises ``Refused`` CHANNEL-SWITCH-OPEN with what is still under way.
    """

    async def work(transaction: Transaction) -> int:
        rows = await transaction.fetch(_LAST)
        turn, before = (rows[0][0], (rows[0][1], bool(rows[0][2]))) if rows else (0, (FIRST, False))
        if rows and before == (channel, live):
            return 0
        burnt = 0
        if before != (channel, live):
            burnt = await _leave(transaction, before[0], now)
        await transaction.execute(_ENTER, turn + 1, channel, int(live), new_nonce(), milliseconds(now))
        return burnt

    return await write_block(database, work)


async def _leave(transaction: Transaction, channel: str, now: datetime) -> int:
    row = (await transaction.fetch(_UNDER_WAY))[0]
    issues, forms, reports = row[0], row[1], row[2]
    if issues or forms or reports:
        raise refuse("CHANNEL-SWITCH-OPEN", have=channel, issues=issues, forms=forms, reports=reports)
    burnt = await transaction.execute(BURN, f"the channel was changed from {channel}", milliseconds(now))
    await transaction.execute(CLOSE_BLOCKS)
    await transaction.execute(_FORGET_LIMITS, month_of(now))
    return burnt
