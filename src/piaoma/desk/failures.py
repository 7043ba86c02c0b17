"""Attempts that failed (开票失败): every refusal of an issue, why and when, so that causes can be counted and listed.

Whoever was refused is answered at once: failures gather in memory and are written together; a crash loses those of some
seconds. No title is kept, only the code, the amount and the cause.
"""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.money import from_fen, to_fen
from piaoma.invoice.refusal import Refusal
from piaoma.store import milliseconds

from .page import Page, cut, resume

if TYPE_CHECKING:
    from .office import Office

GATHERED_MAX = 1_000  # failures that wait to be written; further ones are not counted
KEPT_DAYS = 30
LIST_MAX = 50
SINCE_MAX = 20_000  # the newest, that rules look at

Row = tuple[int, str, int, str, int | None, int]


class Failure(msgspec.Struct, frozen=True):
    """One attempt that was refused; ``total`` in yuan."""

    at: datetime
    cause: str
    code_id: int | None
    total: Decimal


def note(office: Office, merchant_id: int, refusals: tuple[Refusal, ...], code_id: int | None, total: Decimal) -> None:
    """An attempt was refused; its first cause is what it is counted under."""
    if refusals and len(office.failures) < GATHERED_MAX:
        # It begins with the time, so that lists are in its order.
        now_ms = milliseconds(office.now())
        failure_id = f"{now_ms:013d}{secrets.randbelow(1_000_000):06d}"
        office.failures.append((merchant_id, failure_id, now_ms, refusals[0].cause, code_id, to_fen(total)))


async def write(office: Office) -> None:
    """Write what has gathered."""
    gathered, office.failures[:] = list(office.failures), []
    if gathered:
        async with office.database.write() as transaction:
            await transaction.execute_many(
                "INSERT INTO failures (merchant_id, failure_id, at_ms, cause, code_id, total_fen)"
                " VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
                gathered,
            )


async def purge(office: Office) -> None:
    """Failures of all merchants that are older than ``KEPT_DAYS`` go."""
    before_ms = milliseconds(office.now() - timedelta(days=KEPT_DAYS))
    async with office.database.write() as transaction:
        await transaction.execute("DELETE FROM failures WHERE at_ms < $1", before_ms)


async def since(office: Office, merchant_id: int, moment: datetime) -> list[tuple[str, int]]:
    """(cause, when) of the newest since a moment, oldest first."""
    await write(office)
    rows = await office.database.read(
        "SELECT cause, at_ms FROM failures WHERE merchant_id = $1 AND at_ms >= $2 ORDER BY at_ms DESC LIMIT $3",
        merchant_id, milliseconds(moment), SINCE_MAX,
    )  # fmt: skip
    return [(row[0], row[1]) for row in reversed(rows)]


async def by_cause(office: Office, merchant_id: int) -> tuple[tuple[str, int], ...]:
    """Causes of the last ``KEPT_DAYS`` and how often, the most frequent first."""
    await write(office)
    rows = await office.database.read(
        "SELECT cause, count(*) AS times FROM failures WHERE merchant_id = $1 AND at_ms >= $2 GROUP BY cause"
        " ORDER BY times DESC, cause",
        merchant_id, milliseconds(office.now() - timedelta(days=KEPT_DAYS)),
    )  # fmt: skip
    return tuple((row[0], int(row[1])) for row in rows)


async def list_failures(office: Office, merchant_id: int, cause: str, cursor: str) -> Page[Failure]:
    """The attempts of the last ``KEPT_DAYS``, newest first; of one cause, when one is named."""
    await write(office)
    _, before = resume(cursor)
    first = milliseconds(office.now() - timedelta(days=KEPT_DAYS))
    rows = await office.database.read(
        "SELECT failure_id, at_ms, cause, code_id, total_fen FROM failures WHERE merchant_id = $1 AND at_ms >= $2"
        " AND failure_id < $3 AND ($4 = '' OR cause = $4) ORDER BY failure_id DESC LIMIT $5",
        merchant_id, first, f"{min(before, 10**19 - 1):019d}", cause, LIST_MAX + 1,
    )  # fmt: skip
    zone = office.now().tzinfo
    found = [
        (row[0], Failure(datetime.fromtimestamp(row[1] / 1000, zone), row[2], row[3], from_fen(row[4]))) for row in rows
    ]
    page = cut(found, LIST_MAX, lambda one: (0, int(one[0])))
    return Page(tuple(one for _, one in page.items), page.next_cursor)
