"""Keeping what the channel gave beforehand: blocks of numbers (号段) and the quota of a month (额度)."""

from __future__ import annotations

from datetime import datetime

import msgspec

from .database import Database
from .plan import milliseconds


class NumberBlock(msgspec.Struct, frozen=True):
    """Numbers ``prefix`` + 15 digits from ``first`` to ``last``, both included."""

    prefix: str
    first: int
    last: int


_ADD_BLOCK = """
INSERT INTO number_blocks (merchant_id, prefix, first_sequence, last_sequence, next_sequence, taken_at_ms)
VALUES ($1, $2, $3, $4, $3, $5) ON CONFLICT DO NOTHING
"""
# A limit that the channel lowered below what is used already is kept at what is used: the books stay true.
_SET_QUOTA = """
INSERT INTO quotas (merchant_id, month, limit_fen) VALUES ($1, $2, $3)
ON CONFLICT (merchant_id, month) DO UPDATE
SET limit_fen = CASE WHEN excluded.limit_fen < quotas.issued_fen + quotas.reserved_fen
                     THEN quotas.issued_fen + quotas.reserved_fen ELSE excluded.limit_fen END
"""
_NUMBERS_LEFT = """
SELECT coalesce(sum(last_sequence - next_sequence + 1), 0) FROM number_blocks
WHERE merchant_id = $1 AND prefix LIKE $2
"""


async def add_block(database: Database, merchant_id: int, block: NumberBlock, now: datetime) -> None:
    """Record a block that the channel gave. Told twice, it stands once."""
    async with database.write() as transaction:
        await transaction.execute(_ADD_BLOCK, merchant_id, block.prefix, block.first, block.last, milliseconds(now))


async def set_quota(database: Database, merchant_id: int, month: str, limit_fen: int) -> None:
    """Record the month's limit in fen, tax-exclusive, as the channel tells it."""
    async with database.write() as transaction:
        await transaction.execute(_SET_QUOTA, merchant_id, month, limit_fen)


async def numbers_left(database: Database, merchant_id: int, year: str) -> int:
    """How many numbers of a two-digit year the merchant still has."""
    rows = await database.read(_NUMBERS_LEFT, merchant_id, f"{year}%")
    return int(rows[0][0])
