"""Saved searches (常用搜索) of the list of invoices: under a name, for all of the merchant; one opens the list."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.refusal import refuse
from piaoma.store import Transaction, write_block

from .events import Actor, record

if TYPE_CHECKING:
    from .office import Office

NAME_MAX = 20  # characters
SEARCHES_MAX = 30  # of one merchant
SEARCH_MAX = 1_000  # characters of the address


class Saved(msgspec.Struct, frozen=True):
    """``search`` is the part of the list's address behind the question mark."""

    name: str
    search: str
    opens: bool


async def list_saved(office: Office, merchant_id: int) -> list[Saved]:
    """All of a merchant, by name."""
    rows = await office.database.read(
        "SELECT name, search, opens FROM saved_searches WHERE merchant_id = $1 ORDER BY name LIMIT $2",
        merchant_id, SEARCHES_MAX,
    )  # fmt: skip
    return [Saved(row[0], row[1], bool(row[2])) for row in rows]


async def save(office: Office, by: Actor, one: Saved) -> None:
    """Keep a search; one of the same name is replaced. Raises ``Refused`` SEARCH-NAME, SEARCH-TOO-MANY."""
    merchant_id, name = by.merchant_id, one.name.strip()
    if not 1 <= len(name) <= NAME_MAX or len(one.search) > SEARCH_MAX:
        raise refuse("SEARCH-NAME", "name", max=NAME_MAX)

    async def work(transaction: Transaction) -> None:
        rows = await transaction.fetch("SELECT name FROM saved_searches WHERE merchant_id = $1", merchant_id)
        if len(rows) >= SEARCHES_MAX and name not in {row[0] for row in rows}:
            raise refuse("SEARCH-TOO-MANY", "name", max=SEARCHES_MAX)
        if one.opens:
            await transaction.execute("UPDATE saved_searches SET opens = 0 WHERE merchant_id = $1", merchant_id)
        await transaction.execute(_KEEP, merchant_id, name, one.search, int(one.opens))
        await record(transaction, by, office.now(), "search.save", name, after={"search": one.search})

    await write_block(office.database, work)


_KEEP = """
INSERT INTO saved_searches (merchant_id, name, search, opens) VALUES ($1, $2, $3, $4)
ON CONFLICT (merchant_id, name) DO UPDATE SET search = excluded.search, opens = excluded.opens
"""


async def forget(office: Office, by: Actor, name: str) -> None:
    """Remove a search; one that is not there is none."""
    async with office.database.write() as transaction:
        gone = await transaction.execute(
            "DELETE FROM saved_searches WHERE merchant_id = $1 AND name = $2", by.merchant_id, name
        )
        if gone:
            await record(transaction, by, office.now(), "search.remove", name)
