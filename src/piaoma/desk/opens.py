"""Opened and fetched (已打开, 已下载): how often customers looked at an invoice and took its files.

What is kept are two counts and their times for an invoice: nobody's address, browser or name. Looking never waits for
the disk: counts gather in memory and are written together; a crash loses those of some seconds.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Literal

import structlog

from piaoma.store import milliseconds

if TYPE_CHECKING:
    from .office import Office

WRITE_SECONDS = 3.0
GATHERED_MAX = 10_000  # invoices whose counts wait to be written; further ones are not counted
What = Literal["open", "download"]

_log = structlog.get_logger("piaoma.opens")
_ADD = """
INSERT INTO invoice_opens (merchant_id, number, what, times, first_at_ms, last_at_ms) VALUES ($1, $2, $3, $4, $5, $5)
ON CONFLICT (merchant_id, number, what) DO UPDATE SET
  times = invoice_opens.times + excluded.times, last_at_ms = excluded.last_at_ms
"""


def count(office: Office, merchant_id: int, number: str, what: What) -> None:
    """A customer opened an invoice, or fetched a file of it."""
    key = (merchant_id, number, what)
    if key in office.opens or len(office.opens) < GATHERED_MAX:
        office.opens[key] = office.opens.get(key, 0) + 1


async def write(office: Office) -> None:
    """Write what has gathered."""
    gathered = sorted(office.opens.items())
    office.opens.clear()
    if gathered:
        now_ms = milliseconds(office.now())
        async with office.database.write() as transaction:
            await transaction.execute_many(_ADD, [(*key, times, now_ms) for key, times in gathered])


async def keep_writing(office: Office) -> None:
    """Write every few seconds until cancelled, and once more then."""
    try:
        while True:
            await asyncio.sleep(WRITE_SECONDS)
            try:
                await write(office)
            except Exception:
                _log.exception("opens")
    finally:
        await write(office)
