"""Rate limits (限流): token buckets in bounded memory, keyed by what the caller names."""

from __future__ import annotations

import math
import time
from collections import OrderedDict

from piaoma.invoice.refusal import refuse

BUCKETS_MAX = 50_000


class Throttle:
    """``burst`` at once, then ``per_minute``. When memory is full the bucket used longest ago is forgotten."""

    def __init__(self, burst: int, per_minute: float, cause: str = "REQUEST-TOO-MANY") -> None:
        self._burst = burst
        self._per_second = per_minute / 60
        self._cause = cause
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def spend(self, key: str) -> None:
        """Take one. Raises ``Refused`` with the seconds to wait."""
        now = time.monotonic()
        left, at = self._buckets.pop(key, (float(self._burst), now))
        left = min(self._burst, left + (now - at) * self._per_second)
        if left < 1:
            self._buckets[key] = (left, now)
            raise refuse(self._cause, seconds=math.ceil((1 - left) / self._per_second))
        self._buckets[key] = (left - 1, now)
        if len(self._buckets) > BUCKETS_MAX:
            self._buckets.popitem(last=False)
