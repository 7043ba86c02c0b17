"""What the channel gives beforehand (备货): blocks of numbers, fetched before the last one runs out, and quota (额度).

A block is asked for under a serial that is the same until the block is on disk: an answer that was lost, a crash, or a
second process that asks at the same moment get the same block. Another store, or this one after a restore, has another
serial: a block that was given once is never asked for again.
"""

from __future__ import annotations

import asyncio
import hashlib
from typing import TYPE_CHECKING

import structlog

from piaoma.channels import Numbering, Unavailable
from piaoma.invoice.money import to_fen
from piaoma.invoice.refusal import Refused
from piaoma.store import (
    IssueRequest,
    NumberBlock,
    add_block,
    blocks_given,
    month_of,
    numbers_left,
    running_low,
    set_quota,
    used_of_quota,
)

from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

STOCK_SECONDS = 2.0  # between two looks at what is left
LOW_SHARE = 4  # another block is fetched when less than a fourth of one is left, or the last number

_log = structlog.get_logger("piaoma.stock")


async def provide_quota(office: Office, request: IssueRequest) -> None:
    """Ask the channel for the month's limit, so that this request fits if it can.

    Raises ``Unavailable``, ``Refused``.
    """
    merchant_id, month = request.merchant_id, month_of(request.issued_at)
    async with _turn(office, merchant_id):
        needed_fen = await used_of_quota(office.database, merchant_id, month) + to_fen(request.totals.amount)
        seller = request.draft.seller.taxpayer_id
        limit_fen = await office.channel.get_quota(seller, month, max(0, needed_fen))
        await set_quota(office.database, merchant_id, month, limit_fen)


async def provide_numbers(office: Office, request: IssueRequest) -> None:
    """Fetch a block for a request that finds none, once for all who wait. Raises ``Unavailable``, ``Refused``."""
    await fetch_numbers(
        office, request.merchant_id, request.draft.seller.taxpayer_id, f"{request.issued_at:%y}", below=1
    )


async def keep_stocked(office: Office) -> None:
    """Fetch blocks ahead of need, until cancelled."""
    await take_turns(_log, STOCK_SECONDS, lambda: stock_once(office))


async def stock_once(office: Office) -> int:
    """Fetch a block for every merchant whose numbers run low; how many were fetched."""
    if await office.numbering() is not Numbering.POOL:
        return 0
    year, below, fetched = f"{office.now():%y}", max(2, office.config.number_block // LOW_SHARE), 0
    for merchant_id, taxpayer_id in await running_low(office.database, year, below):
        try:
            fetched += await fetch_numbers(office, merchant_id, taxpayer_id, year, below)
        except (Unavailable, Refused) as fault:
            # There are some left, and whoever needs the first one that is not there asks again.
            _log.warning("no numbers ahead", merchant=merchant_id, reason=str(fault))
    return fetched


async def fetch_numbers(office: Office, merchant_id: int, taxpayer_id: str, year: str, below: int) -> int:
    """Fetch a block when fewer than ``below`` numbers are left; how many were.

    Raises ``Unavailable``, ``Refused``.
    """
    async with _turn(office, merchant_id):
        if await numbers_left(office.database, merchant_id, year) >= below:
            return 0
        nonce, given = await blocks_given(office.database, merchant_id, year)
        named = f"{office.channel.name}:{taxpayer_id}:{year}:{nonce}:{given}"
        serial = hashlib.sha256(named.encode()).hexdigest()[:32]
        block = await office.channel.allocate_numbers(taxpayer_id, year, office.config.number_block, serial)
        numbers = NumberBlock(block.prefix, block.first, block.last)
        await add_block(office.database, merchant_id, numbers, office.now())
        return 1


def _turn(office: Office, merchant_id: int) -> asyncio.Lock:
    return office.provisioning.setdefault(merchant_id, asyncio.Lock())
