"""Keeping the index up to date (跟随日志): within a second while it is quiet, later while much is issued."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import structlog

from piaoma.index import TURN_MAX, behind, follow
from piaoma.store import LogFault, WriteConflict, latest_checkpoint

from .log import sequence_once

if TYPE_CHECKING:
    from .office import Office

IDLE_SECONDS = 0.5
BUSY_SECONDS = 3.0  # between two turns while invoices are being issued: issuing goes first
BUSY_TURN_MAX = 256  # invoices of such a turn
CATCH_UP_MAX = 2 * TURN_MAX  # a reader takes in so many himself before he is answered

_log = structlog.get_logger("piaoma.index")


async def keep_index(office: Office) -> None:
    """Follow the log until cancelled. While it grows little is taken in at a time; what is left is made up after."""
    seen: str | None = None
    while True:
        pause = IDLE_SECONDS
        try:
            newest = await latest_checkpoint(office.database)
            busy, seen = newest != seen, newest
            taken = await follow(office.database, BUSY_TURN_MAX if busy else TURN_MAX)
            if busy:
                pause = BUSY_SECONDS
            elif taken == TURN_MAX:
                pause = 0
        except WriteConflict:
            pass  # another process was faster
        except Exception:
            _log.exception("index")
        await asyncio.sleep(pause)


async def catch_up(office: Office) -> int:
    """Take in what was issued just now, so that whoever issues and looks finds it; how many are missing still.

    When many are, they are left to ``keep_index``: a page says so and does not wait.
    """
    try:
        await sequence_once(office)
        missing = await behind(office.database)
        if 0 < missing <= CATCH_UP_MAX:
            while await follow(office.database):
                pass
            missing = await behind(office.database)
    except (WriteConflict, LogFault):
        missing = await behind(office.database)
    return missing
