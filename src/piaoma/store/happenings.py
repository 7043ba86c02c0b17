"""Announcing (事件): that something happened, written in the transaction in which it did, handed on afterwards.

Merchants who have neither a key nor an endpoint are left out by the statement itself.
"""

from __future__ import annotations

import secrets
import time
from datetime import datetime

from .database import Transaction
from .plan import milliseconds
from .submission import IssueRequest

# For many at a time, of merchants that are known to want it.
ANNOUNCE_ALL = """
INSERT INTO happenings (merchant_id, job_id, number, target, type, place, next_at_ms, created_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $7)
"""
ANNOUNCE = """
INSERT INTO happenings (merchant_id, job_id, number, target, type, place, next_at_ms, created_at_ms)
SELECT m.merchant_id, CAST($2 AS TEXT), CAST($3 AS TEXT), CAST($4 AS TEXT), CAST($5 AS TEXT), CAST($6 AS BIGINT),
       CAST($7 AS BIGINT), CAST($7 AS BIGINT)
FROM merchants m WHERE m.merchant_id = $1 AND m.announces = 1
"""

_last = 0


def _place() -> int:
    """A number that grows: microseconds, never the same twice in a process, and exact in every reader's arithmetic
    (below 2⁵³)."""
    global _last
    _last = max(_last + 1, time.time_ns() // 1_000)
    return _last


def _values(
    merchant_id: int, kind: str, subject: str, target: str, at: datetime
) -> tuple[int, str, str, str, str, int, int]:
    place = _place()
    return merchant_id, f"evt_{place:x}{secrets.token_hex(4)}", subject, target, kind, place, milliseconds(at)


def issued_values(request: IssueRequest, number: str, at: datetime | None = None) -> tuple[object, ...]:
    """The parameters of ``ANNOUNCE`` for an invoice. What it corrects or replaces keeps the order of both."""
    kind = "invoice.issued" if request.red is None else "invoice.red_issued"
    subject = request.red.blue_number if request.red is not None else request.replaces or number
    return _values(request.merchant_id, kind, subject, number, at or request.issued_at)


async def announce(
    transaction: Transaction, merchant_id: int, kind: str, target: str, at: datetime, subject: str = ""
) -> None:
    """Announce something of ``target``; what has the same ``subject``, the target by default, keeps its order."""
    await transaction.execute(ANNOUNCE, *_values(merchant_id, kind, subject or target, target, at))
