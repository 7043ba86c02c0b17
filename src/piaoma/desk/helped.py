"""Did it help? (解决了吗): counts of a help page by day. Who said so is not kept."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from .office import Office

SUMMARY_DAYS = 30


class Votes(msgspec.Struct, frozen=True):
    """What readers said of a page."""

    name: str
    yes: int
    no: int


async def count(office: Office, name: str, *, yes: bool) -> None:
    """Count one."""
    async with office.database.write() as transaction:
        await transaction.execute(
            "INSERT INTO help_votes (name, day, yes, no) VALUES ($1, $2, $3, $4)"
            " ON CONFLICT (name, day) DO UPDATE SET yes = help_votes.yes + excluded.yes,"
            " no = help_votes.no + excluded.no",
            name, office.now().date().isoformat(), int(yes), int(not yes),
        )  # fmt: skip


async def votes(office: Office) -> list[Votes]:
    """The pages of the last month, those that helped least first."""
    since = office.now().date() - timedelta(days=SUMMARY_DAYS)
    rows = await office.database.read(
        "SELECT name, sum(yes), sum(no) FROM help_votes WHERE day >= $1 GROUP BY name ORDER BY sum(no) DESC, name",
        since.isoformat(),
    )
    return [Votes(row[0], int(row[1]), int(row[2])) for row in rows]
