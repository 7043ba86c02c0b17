"""Alerts (提醒): owner and accountant are told of new findings, each finding once, at once or in a letter a day.

That a finding is told is written in the transaction that hands it over, so two processes, or a crash between, cannot
tell it twice. ``WAYS`` is the seam for ways other than mail: each gets the merchant and what is new, inside that
transaction, and puts into an outbox what it wants carried.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from piaoma.anomalies import telling
from piaoma.store import Transaction, milliseconds, write_block

from .findings import COLUMNS, Alerts, Found, found_of, watching
from .merchant import Merchant, merchant
from .notices import Content, add_notice

if TYPE_CHECKING:
    from .office import Office

DIGEST_HOUR = 21  # Asia/Shanghai: when the day's letter is written
TOLD_MAX = 50  # findings in one letter; further ones are told with the next
RECEIVERS_MAX = 20

Way = Callable[["Office", Transaction, Merchant, Sequence[Found]], Awaitable[None]]


async def tell_all(office: Office) -> int:
    """Tell every merchant what is new, as he chose; how many findings were told."""
    rows = await office.database.read("SELECT DISTINCT merchant_id FROM findings WHERE told_at_ms IS NULL")
    told = 0
    for row in rows:
        told += await tell(office, row[0])
    return told


async def tell(office: Office, merchant_id: int) -> int:
    """Tell one merchant; how many findings. Who chose to hear nothing has his findings on the page alone."""
    chosen, now = (await watching(office, merchant_id)).alerts, office.now()
    if chosen is Alerts.DAILY and now.hour < DIGEST_HOUR:
        return 0
    shop = await merchant(office, merchant_id)

    async def work(transaction: Transaction) -> int:
        if chosen is Alerts.DAILY and not await _first_today(transaction, merchant_id, now):
            return 0
        rows = await transaction.fetch(_UNTOLD, merchant_id, TOLD_MAX)
        new = [found_of(office, row) for row in rows]
        now_ms = milliseconds(now)
        mine = [
            one for one in new
            if await transaction.execute(_TOLD, merchant_id, one.finding_id, now_ms)
        ]  # fmt: skip
        # One that somebody marked meanwhile needs no letter.
        fresh = [one for one in mine if one.state == "open"]
        if fresh and chosen is not Alerts.OFF:
            for way in WAYS:
                await way(office, transaction, shop, fresh)
            return len(fresh)
        return 0

    return await write_block(office.database, work)


_UNTOLD = f"""
SELECT {COLUMNS} FROM findings WHERE merchant_id = $1 AND told_at_ms IS NULL
ORDER BY found_at_ms, finding_id LIMIT $2
"""  # noqa: S608
_TOLD = "UPDATE findings SET told_at_ms = $3 WHERE merchant_id = $1 AND finding_id = $2 AND told_at_ms IS NULL"
_FIRST_TODAY = """
INSERT INTO watching (merchant_id, thresholds, alerts, told_on) VALUES ($1, '{}', 'daily', $2)
ON CONFLICT (merchant_id) DO UPDATE SET told_on = excluded.told_on WHERE watching.told_on < excluded.told_on
"""


async def _first_today(transaction: Transaction, merchant_id: int, now: datetime) -> bool:
    """Whether today's letter is not written yet; from now on it is."""
    return bool(await transaction.execute(_FIRST_TODAY, merchant_id, f"{now:%Y-%m-%d}"))


async def by_mail(office: Office, transaction: Transaction, shop: Merchant, new: Sequence[Found]) -> None:
    """To owners and accountants whose address is proved; nobody else is written to, whatever is typed anywhere."""
    rows = await transaction.fetch(_RECEIVERS, shop.merchant_id, milliseconds(office.now()), RECEIVERS_MAX)
    content = letter(shop.shop_name, f"{office.config.base_url}/console/anomalies", new)
    for row in rows:
        await add_notice(transaction, row[0], content, office.now(), shop.merchant_id)


_RECEIVERS = """
SELECT DISTINCT p.email FROM memberships m JOIN people p ON p.person_id = m.person_id
WHERE m.merchant_id = $1 AND m.active = 1 AND m.role IN ('owner', 'accountant')
  AND p.email_proved_at_ms IS NOT NULL AND (m.until_ms IS NULL OR m.until_ms > $2) LIMIT $3
"""


def letter(shop_name: str, address: str, new: Sequence[Found]) -> Content:
    """The findings in both languages, each with why and what to do, and where they are."""
    parts = []
    for one in new:
        for language in ("zh", "en"):
            told = telling(one.finding_id, one.rule, one.figures, language)
            parts.append(f"{told.name}\n{told.why}\n{told.do}\n")
        parts.append(f"{address}/{one.finding_id}\n\n")
    subject = f"票码：{shop_name} 有 {len(new)} 条异常待看 {len(new)} to look at"
    return Content(subject, "\n".join(parts) + f"全部 All: {address}\n怎么提醒在这里改 Alerts are chosen there.\n")


WAYS: tuple[Way, ...] = (by_mail,)
