"""Growing delays (延迟) against guessing: some tries are free, then each wrong one makes the next wait twice as long.

The key names the account and where the tries come from. Whoever guesses from elsewhere makes himself wait and nobody
else: there is no count of an account's wrong tries as a whole that a stranger could fill up against its owner.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.requests import Request

from piaoma.invoice.refusal import refuse

TRIES_FREE_MAX = 5
FIRST_SECONDS = 2
WAIT_SECONDS_MAX = 900
KEYS_MAX = 50_000  # of one delay; the one used longest ago is forgotten


class Delay:
    """Counts a try before it is judged, so that a thousand at once are no way around it. ``clock`` tells seconds."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock

    def attempt(self, request: Request, key: str) -> None:
        """Begin a try. Raises ``Refused`` ACCOUNT-TOO-MANY with the seconds to wait."""
        counts: OrderedDict[str, tuple[int, float]] = request.app.state.buckets.setdefault(self, OrderedDict())
        now = self.clock()
        tries, until = counts.pop(key, (0, now))
        if until > now:
            counts[key] = (tries, until)
            raise refuse("ACCOUNT-TOO-MANY", seconds=math.ceil(until - now))
        tries += 1
        over = tries - TRIES_FREE_MAX
        wait = min(WAIT_SECONDS_MAX, FIRST_SECONDS * 2 ** min(over, 20)) if over >= 0 else 0
        counts[key] = (tries, now + wait)
        if len(counts) > KEYS_MAX:
            counts.popitem(last=False)

    def wait(self, request: Request, key: str) -> int:
        """Seconds until the next try of this key is let through; 0 when it is now. Looking counts no try."""
        counts: OrderedDict[str, tuple[int, float]] = request.app.state.buckets.get(self, OrderedDict())
        _, until = counts.get(key, (0, 0.0))
        return max(0, math.ceil(until - self.clock()))

    def passed(self, request: Request, key: str) -> None:
        """It was right: begin from nothing again."""
        request.app.state.buckets.setdefault(self, OrderedDict()).pop(key, None)


def network_of(request: Request) -> str:
    """Where a request comes from: an IPv4 address, or the /64 that one subscriber of IPv6 has."""
    host = request.client.host if request.client else ""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    return host if address.version == 4 else str(ipaddress.ip_network(f"{host}/64", strict=False))
