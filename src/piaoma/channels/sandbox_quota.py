"""The sandbox authority's book of requests for more quota (额度调整申请), decided as a tax office might: a moderate
request at once, a larger one after a while, one that is out of all proportion not at all.

How the real one decides is not published; only the states are meant to be rehearsed here.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from .contract import QuotaAnswer, QuotaRequest, QuotaState
from .ledger import Ledger

AT_ONCE_FEN = 1_000_000_00  # as much again as everybody has
REFUSED_FEN = 10_000_000_00  # from here on
DECIDE_SECONDS = 60  # what lies between is decided after so long

_FIND = "SELECT extra_fen, granted_fen, decide_at_ms FROM authority_quota_requests WHERE serial = $1"
_ADD = """
INSERT INTO authority_quota_requests (serial, taxpayer_id, month, extra_fen, granted_fen, decide_at_ms)
VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (serial) DO NOTHING
"""
_GRANTED = """
SELECT coalesce(sum(granted_fen), 0) FROM authority_quota_requests
WHERE taxpayer_id = $1 AND month = $2 AND decide_at_ms <= $3
"""


class QuotaBook:
    """Requests, in the authority's own ledger. ``now`` is aware, Asia/Shanghai."""

    def __init__(self, ledger: Ledger, now: Callable[[], datetime]) -> None:
        self._ledger = ledger
        self._now = now

    async def granted_fen(self, taxpayer_id: str, month: str) -> int:
        """What was granted beyond the usual limit."""
        rows = await self._ledger.read(_GRANTED, taxpayer_id, month, self._now_ms())
        return int(rows[0][0])

    async def apply(self, request: QuotaRequest) -> QuotaAnswer:
        """Take a request in, once for a serial."""
        granted = 0 if request.extra_fen >= REFUSED_FEN else request.extra_fen
        at_once = request.extra_fen <= AT_ONCE_FEN or not granted
        decide_at_ms = self._now_ms() + (0 if at_once else DECIDE_SECONDS * 1000)
        async with self._ledger.write() as transaction:
            await transaction.execute(
                _ADD, request.serial, request.taxpayer_id, request.month, request.extra_fen, granted, decide_at_ms
            )
        answer = await self.query(request.serial)
        assert answer is not None, "it was just taken in"
        return answer

    async def query(self, serial: str) -> QuotaAnswer | None:
        """Where a request stands; None when it never came."""
        rows = await self._ledger.read(_FIND, serial)
        if not rows:
            return None
        if rows[0][2] > self._now_ms():
            return QuotaAnswer(serial, QuotaState.PENDING)
        if not rows[0][1]:
            return QuotaAnswer(serial, QuotaState.REFUSED, 0, "申请额度与经营规模不符 out of proportion")
        return QuotaAnswer(serial, QuotaState.GRANTED, int(rows[0][1]))

    def _now_ms(self) -> int:
        return int(self._now().timestamp() * 1000)
