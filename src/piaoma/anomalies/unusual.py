"""An unusual amount (大额): one invoice is many times what invoices of this shop usually are."""

from __future__ import annotations

from .facts import Facts, Finding, fen, finding, yuan
from .thresholds import Thresholds

KNOWN_MIN = 30  # invoices; an average of fewer says nothing


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """One for each such invoice."""
    if facts.usual_count < KNOWN_MIN or facts.usual <= 0:
        return []
    line = max(facts.usual * limits.unusual_times, fen(limits.unusual_least))
    return [
        finding(
            "unusual",
            facts.day,
            [sale],
            sale.number,
            total=yuan(sale.total),
            usual=yuan(facts.usual),
            times=sale.total // facts.usual,
        )
        for sale in facts.blue
        if sale.total >= line
    ]
