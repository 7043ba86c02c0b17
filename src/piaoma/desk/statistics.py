"""What a static code does (统计): scans, applications, invoices, refusals, and how long a customer waits."""

from __future__ import annotations

import statistics
from collections import defaultdict
from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

from piaoma.store import milliseconds

if TYPE_CHECKING:
    from .office import Office

PERIOD_DAYS = 30
TIMES_MAX = 200  # of each code: the latest, of which the median is taken


class Figures(msgspec.Struct):
    """One code's last ``PERIOD_DAYS``. ``confirms`` are applications, or sales that a typed number led to."""

    scans: int = 0
    confirms: int = 0
    issued: int = 0
    refused: int = 0
    waiting: int = 0
    median_seconds: int | None = None


async def figures(office: Office, merchant_id: int) -> dict[int, Figures]:
    """The figures of every static code that was used, by its number."""
    since = office.now() - timedelta(days=PERIOD_DAYS)
    since_ms = milliseconds(since)
    found: dict[int, Figures] = defaultdict(Figures)
    for row in await office.database.read(_SCANS, merchant_id, f"{since:%Y-%m-%d}"):
        found[row[0]].scans = int(row[1])
    for row in await office.database.read(_BY_STATE, merchant_id, since_ms):
        one = found[row[0]]
        one.confirms += row[2]
        if row[1] in ("issued", "refused", "waiting"):
            setattr(one, row[1], row[2])
    for row in await office.database.read(_BY_NUMBER, merchant_id, since_ms):
        found[row[0]].confirms += row[2]
        if row[1] == "issued":
            found[row[0]].issued += row[2]
    times: dict[int, list[int]] = defaultdict(list)
    for statement in (_APPLICATION_TIMES, _SALE_TIMES):
        for row in await office.database.read(statement, merchant_id, since_ms, TIMES_MAX):
            times[row[0]].append(row[1])
    for static_id, waited in times.items():
        found[static_id].median_seconds = round(statistics.median(waited) / 1000)
    return dict(found)


_SCANS = "SELECT static_id, sum(scans) FROM static_scans WHERE merchant_id = $1 AND day >= $2 GROUP BY static_id"
_BY_STATE = """
SELECT static_id, state, count(*) FROM applications WHERE merchant_id = $1 AND created_at_ms > $2
GROUP BY static_id, state
"""
_BY_NUMBER = """
SELECT n.static_id, c.state, count(*) FROM sale_numbers n
JOIN codes c ON c.merchant_id = n.merchant_id AND c.code_id = n.code_id
WHERE n.merchant_id = $1 AND n.static_id IS NOT NULL AND n.matched_at_ms > $2 GROUP BY n.static_id, c.state
"""
_APPLICATION_TIMES = """
SELECT static_id, waited_ms FROM (
    SELECT static_id, settled_at_ms - created_at_ms AS waited_ms,
           row_number() OVER (PARTITION BY static_id ORDER BY created_at_ms DESC) AS place
    FROM applications WHERE merchant_id = $1 AND created_at_ms > $2 AND state = 'issued') t WHERE place <= $3
"""
_SALE_TIMES = """
SELECT static_id, waited_ms FROM (
    SELECT n.static_id, c.changed_at_ms - n.matched_at_ms AS waited_ms,
           row_number() OVER (PARTITION BY n.static_id ORDER BY n.matched_at_ms DESC) AS place
    FROM sale_numbers n JOIN codes c ON c.merchant_id = n.merchant_id AND c.code_id = n.code_id
    WHERE n.merchant_id = $1 AND n.static_id IS NOT NULL AND n.matched_at_ms > $2 AND c.state = 'issued') t
WHERE place <= $3
"""
