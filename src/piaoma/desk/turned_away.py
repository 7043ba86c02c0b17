"""Who was turned away (被拒): why issuing was refused lately, by merchant, in the memory of this process.

A refusal of which nothing was submitted leaves no row: it costs nothing, also when a thousand come at once. For the
pages that say what is wrong the last few are remembered here; other processes have their own, and a restart forgets.
"""

from __future__ import annotations

from collections import Counter, OrderedDict, deque

MERCHANTS_MAX = 10_000  # remembered; the one turned away longest ago is forgotten
LATEST_MAX = 50  # refusals of one merchant


class TurnedAway:
    """The latest causes of each merchant."""

    def __init__(self) -> None:
        self._causes: OrderedDict[int, deque[tuple[int, str]]] = OrderedDict()

    def note(self, merchant_id: int, cause: str, now_ms: int) -> None:
        """One more."""
        latest = self._causes.pop(merchant_id, None) or deque(maxlen=LATEST_MAX)
        latest.append((now_ms, cause))
        self._causes[merchant_id] = latest
        if len(self._causes) > MERCHANTS_MAX:
            self._causes.popitem(last=False)

    def since(self, merchant_id: int, since_ms: int) -> Counter[str]:
        """The causes since a moment, with how often."""
        return Counter(cause for at_ms, cause in self._causes.get(merchant_id, ()) if at_ms >= since_ms)

    def passed(self, merchant_id: int) -> None:
        """Issuing worked again: what was in the way is not any more."""
        self._causes.pop(merchant_id, None)
