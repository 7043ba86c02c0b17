"""The shelf (我的发票): the invoices that a browser can prove it holds, across all merchants, without an account.

A browser's secret stands in no table. A row is found by a digest of the secret and the month of issue: who has the
secret finds a list without any merchant being asked, who has the database cannot tell one browser's months apart or
whose they are. What lies on a browser's shelf may be opened by it: it lies there because the browser issued it, gave
its pick-up code, or came by a link that was mailed to an address to which the invoice had been sent.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Iterable
from datetime import date, datetime
from typing import TYPE_CHECKING

import msgspec
import structlog

from .filters import TEXT_MAX, Filter
from .records import Invoice, invoices_of

if TYPE_CHECKING:
    from .office import Office

MONTHS_MAX = 360  # looked through for a list: thirty years, as long as records are kept
HELD_MAX = 2_000  # invoices of one browser that are listed
LIST_MAX = 20  # invoices on a page
WAITING_MAX = 10_000  # invoices that may wait to be shelved; one that is dropped is shelved when it is looked at again
FLUSH_SECONDS = 1.0

_log = structlog.get_logger("piaoma.shelf")


class Held(msgspec.Struct, frozen=True):
    """An invoice on a shelf, with its shop's name, and the token of its code (empty when it had none)."""

    invoice: Invoice
    shop_name: str
    token: str


class HeldPage(msgspec.Struct, frozen=True):
    """One page of a list, how many fit in all, and the shops and months that a person may choose from."""

    items: tuple[Held, ...]
    count: int
    pages: int
    shops: tuple[tuple[int, str], ...]
    months: tuple[str, ...]


def shelf_digest(secret: str, month: str) -> str:
    """Where a browser's invoices of a month (``2026-11``) lie."""
    return hashlib.sha256(f"shelf:{month}:{secret}".encode()).hexdigest()


def note(office: Office, secret: str, merchant_id: int, number: str, issued_at: datetime) -> None:
    """Put an invoice on a browser's shelf soon. Nobody waits for it: the path to an invoice has one commit, not two."""
    waiting = office.to_be_shelved
    waiting[(shelf_digest(secret, f"{issued_at:%Y-%m}"), merchant_id, number)] = None
    while len(waiting) > WAITING_MAX:
        del waiting[next(iter(waiting))]


def _place(secret: str, found: Invoice) -> tuple[str, int, str]:
    return shelf_digest(secret, f"{found.issued_at:%Y-%m}"), found.merchant_id, found.number


async def keep_shelves(office: Office) -> None:
    """Shelve what waits, many in one commit, until cancelled. What goes wrong is logged and tried again."""
    while True:
        await asyncio.sleep(FLUSH_SECONDS)
        try:
            await flush(office)
        except Exception:
            _log.exception("shelf")


async def flush(office: Office) -> None:
    """Shelve what waits now."""
    rows = list(office.to_be_shelved)
    if not rows:
        return
    await shelve(office, rows)
    for row in rows:
        office.to_be_shelved.pop(row, None)


async def shelve(office: Office, rows: Iterable[tuple[str, int, str]]) -> None:
    """Put (shelf, merchant, number) where it belongs; what lies there already stays."""
    async with office.database.write() as transaction:
        await transaction.execute_many(_PUT, sorted(rows))


async def shelve_all(office: Office, secret: str, keys: list[tuple[int, str]]) -> int:
    """Put invoices, by merchant and number, on a browser's shelf; how many there are of them."""
    found = await _invoices(office, keys)
    if found:
        await shelve(office, [_place(secret, each.invoice) for each in found])
    return len(found)


async def holds(office: Office, secret: str, found: Invoice) -> bool:
    """Whether an invoice lies on a browser's shelf."""
    place = _place(secret, found)
    return place in office.to_be_shelved or await office.database.read_by_key(_HOLDS, *place) is not None


_HOLDS = "SELECT 1 FROM shelves WHERE shelf = $1 AND merchant_id = $2 AND number = $3"
_PUT = """
INSERT INTO shelves (shelf, merchant_id, number) VALUES ($1, $2, $3) ON CONFLICT (shelf, merchant_id, number) DO NOTHING
"""
_TAKE = "DELETE FROM shelves WHERE shelf = $1 AND merchant_id = $2 AND number = $3"
# Two statements and no join: shelves are sharded by shelf, invoices by merchant.
_ON_SHELVES = """
SELECT t.merchant_id, t.number FROM {keys} CROSS JOIN shelves t WHERE t.shelf = k.b ORDER BY k.a LIMIT $2
"""


async def remove(office: Office, secret: str, found: Invoice) -> None:
    """Take an invoice off a shelf. The invoice itself stays: scanning its code brings it back."""
    place = _place(secret, found)
    office.to_be_shelved.pop(place, None)
    async with office.database.write() as transaction:
        await transaction.execute(_TAKE, *place)


async def forget(office: Office, secret: str) -> None:
    """Take everything off a browser's shelf."""
    shelves = {_place(secret, each.invoice)[0] for each in await everything(office, secret)}
    async with office.database.write() as transaction:
        for shelf in sorted(shelves):
            await transaction.execute("DELETE FROM shelves WHERE shelf = $1", shelf)


async def everything(office: Office, secret: str) -> list[Held]:
    """All that lies on a browser's shelf, newest first."""
    if not secret:
        return []
    await flush(office)
    shelves = [(place, shelf_digest(secret, month)) for place, month in enumerate(_months(office.now().date()))]
    statement = _ON_SHELVES.format(keys=office.database.dialect.int_text_keys)
    rows = await office.database.read(statement, json.dumps(shelves), HELD_MAX)
    return await _invoices(office, list(dict.fromkeys((row[0], row[1]) for row in rows)))


async def _invoices(office: Office, keys: list[tuple[int, str]]) -> list[Held]:
    return [
        Held(found, shop, office.token(found.merchant_id, found.code_id) if found.code_id is not None else "")
        for found, shop in await invoices_of(office, keys)
    ]


async def held_page(office: Office, secret: str, wanted: Filter, shop: str, month: str, page: int) -> HeldPage:
    """A page of a browser's list. ``shop`` is a merchant's number, ``month`` like ``2026-11``; empty is any."""
    everything_held = await everything(office, secret)
    fitting = [each for each in everything_held if fits(each, wanted, shop, month)]
    pages = max(1, -(-len(fitting) // LIST_MAX))
    first = (min(max(page, 1), pages) - 1) * LIST_MAX
    shops = dict(sorted({each.invoice.merchant_id: each.shop_name for each in everything_held}.items()))
    months = tuple(dict.fromkeys(f"{each.invoice.issued_at:%Y-%m}" for each in everything_held))
    return HeldPage(tuple(fitting[first : first + LIST_MAX]), len(fitting), pages, tuple(shops.items()), months)


def fits(each: Held, wanted: Filter, shop: str, month: str) -> bool:
    """Whether a held invoice is what a person looks for."""
    found = each.invoice
    text = wanted.text.strip()[:TEXT_MAX].lower()
    words = f"{each.shop_name}\n{found.buyer_name}\n{found.buyer_id}\n{found.number}\n{found.summary}".lower()
    return (
        text in words
        and (not shop or shop == str(found.merchant_id))
        and (not month or month == f"{found.issued_at:%Y-%m}")
        and (wanted.total_min is None or found.total >= wanted.total_min)
        and (wanted.total_max is None or found.total <= wanted.total_max)
    )


def _months(today: date) -> Iterable[str]:
    """The months to look through, newest first."""
    last = today.year * 12 + today.month - 1
    return (f"{month // 12:04d}-{month % 12 + 1:02d}" for month in range(last, last - MONTHS_MAX, -1))
