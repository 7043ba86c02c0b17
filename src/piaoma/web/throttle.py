"""Rate limits (限流): token buckets in bounded memory, kept by the application, keyed by what the caller names."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

from starlette.requests import Request

from piaoma.invoice.refusal import refuse

BUCKETS_MAX = 50_000  # of one limit


class Throttle:
    """``burst`` at once, then ``per_minute``. When memory is full the bucket used longest ago is forgotten."""

    def __init__(self, burst: int, per_minute: float, cause: str = "REQUEST-TOO-MANY") -> None:
        self._burst = burst
        self._per_second = per_minute / 60
        self._cause = cause

    def spend(self, request: Request, key: str = "") -> None:
        """Take one for this client address and key. Raises ``Refused`` with the seconds to wait."""
        self.spend_for_all(request, _addressed(request, key))

    def ask(self, request: Request, key: str = "") -> None:
        """Raises like ``spend`` would, and takes nothing."""
        self.ask_for_all(request, _addressed(request, key))

    def spend_for_all(self, request: Request, key: str) -> None:
        """Take one for a key, from wherever it comes."""
        buckets, left, now = self._left(request, key)
        buckets[key] = (left if left < 1 else left - 1, now)
        if len(buckets) > BUCKETS_MAX:
            buckets.popitem(last=False)
        self._refuse_below_one(left)

    def ask_for_all(self, request: Request, key: str) -> None:
        """Raises like ``spend_for_all`` would, and takes nothing."""
        buckets, left, now = self._left(request, key)
        buckets[key] = (left, now)
        self._refuse_below_one(left)

    def headers(self, request: Request, key: str) -> dict[str, str]:
        """What is left for a key, as programs read it: the whole, what is left now, seconds until it is whole again."""
        buckets, left, now = self._left(request, key)
        buckets[key] = (left, now)
        return {
            "ratelimit-limit": str(self._burst),
            "ratelimit-remaining": str(int(left)),
            "ratelimit-reset": str(math.ceil((self._burst - left) / self._per_second)),
        }

    def _left(self, request: Request, key: str) -> tuple[OrderedDict[str, tuple[float, float]], float, float]:
        """The buckets, what this one holds now, and the time; the bucket is taken out, to be put back last."""
        buckets: OrderedDict[str, tuple[float, float]] = request.app.state.buckets.setdefault(self, OrderedDict())
        now = time.monotonic()
        left, at = buckets.pop(key, (float(self._burst), now))
        return buckets, min(self._burst, left + (now - at) * self._per_second), now

    def _refuse_below_one(self, left: float) -> None:
        if left < 1:
            raise refuse(self._cause, seconds=math.ceil((1 - left) / self._per_second))


def _addressed(request: Request, key: str) -> str:
    return f"{key} {request.client.host if request.client else ''}"
