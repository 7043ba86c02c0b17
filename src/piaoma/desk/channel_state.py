"""What of one merchant waits for the channel (渠道待办), with what the channel said of it, oldest first."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from .office import Office

OPEN_SHOWN = 20


class Pending(msgspec.Struct, frozen=True):
    """An invoice whose outcome is open: since when, the code that it is of, and what the channel said last."""

    since: datetime
    code_id: int | None
    said: str


class Waiting(msgspec.Struct, frozen=True):
    """``reports`` were issued and are not uploaded yet; ``dead`` are (number, reason) of those that never will be as
    things are."""

    pending: tuple[Pending, ...]
    reports: int
    dead: tuple[tuple[str, str], ...]


_PENDING = """
SELECT submitted_at_ms, code_id, said FROM issues WHERE merchant_id = $1 AND state IN ('submitted', 'unknown')
ORDER BY submitted_at_ms LIMIT $2
"""
_REPORTS = "SELECT count(*) FROM jobs WHERE merchant_id = $1 AND kind = 'report' AND state = 'waiting'"
_DEAD = """
SELECT number, last_error FROM jobs WHERE merchant_id = $1 AND kind = 'report' AND state = 'dead'
ORDER BY number LIMIT $2
"""


async def waiting(office: Office, merchant_id: int) -> Waiting:
    """As it stands now."""
    read, zone = office.database.read, office.now().tzinfo
    return Waiting(
        tuple(
            Pending(datetime.fromtimestamp(row[0] / 1000, zone), row[1], row[2])
            for row in await read(_PENDING, merchant_id, OPEN_SHOWN)
        ),
        (await read(_REPORTS, merchant_id))[0][0],
        tuple((row[0], row[1]) for row in await read(_DEAD, merchant_id, OPEN_SHOWN)),
    )
