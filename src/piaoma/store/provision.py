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


_BLOCKS_GIVEN = """
SELECT (SELECT nonce FROM channels ORDER BY turn DESC LIMIT 1), count(*) FROM number_blocks
WHERE merchant_id = $1 AND prefix LIKE $2
"""
_RUNNING_LOW = """
SELECT b.merchant_id, m.taxpayer_id FROM number_blocks b JOIN merchants m ON m.merchant_id = b.merchant_id
WHERE b.next_sequence <= b.last_sequence AND b.prefix LIKE $1 AND m.state = 'active'
GROUP BY b.merchant_id, m.taxpayer_id HAVING sum(b.last_sequence - b.next_sequence + 1) < CAST($2 AS BIGINT)
ORDER BY b.merchant_id LIMIT $3
"""
RUNNING_LOW_MAX = 100  # merchants served in one turn


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


async def blocks_given(database: Database, merchant_id: int, year: str) -> tuple[str, int]:
    """(nonce of the store's life, how many blocks of a two-digit year the merchant has had): what names the next."""
    rows = await database.read(_BLOCKS_GIVEN, merchant_id, f"{year}%")
    return str(rows[0][0]), int(rows[0][1])


async def running_low(database: Database, year: str, below: int) -> list[tuple[int, str]]:
    """Merchants, with their taxpayer ids, that have some numbers of a two-digit year left and fewer than ``below``."""
    return [(row[0], row[1]) for row in await database.read(_RUNNING_LOW, f"{year}%", below, RUNNING_LOW_MAX)]


async def used_of_quota(database: Database, merchant_id: int, month: str) -> int:
    """What is issued and reserved of a month's quota, in fen."""
    rows = await database.read(
        "SELECT issued_fen + reserved_fen FROM quotas WHERE merchant_id = $1 AND month = $2", merchant_id, month
    )
    return int(rows[0][0]) if rows else 0
