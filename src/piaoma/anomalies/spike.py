"""A spike (突增): the day comes to far more than the same weekday usually does."""

from __future__ import annotations

from .facts import Facts, Finding, fen, finding, yuan
from .thresholds import Thresholds

WEEKS_MIN = 2  # of four; from fewer nothing usual can be told


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """At most one a day; its invoices are those of the day, the largest first."""
    total = sum(sale.total for sale in facts.blue)
    if len(facts.weekdays) < WEEKS_MIN or total < fen(limits.spike_least):
        return []
    usual = sum(facts.weekdays) // len(facts.weekdays)
    line = usual * limits.spike_percent // 100
    if usual <= 0 or total <= line:
        return []
    largest = sorted(facts.blue, key=lambda sale: -sale.total)
    return [
        finding(
            "spike",
            facts.day,
            largest,
            total=yuan(total),
            usual=yuan(usual),
            weeks=len(facts.weekdays),
            percent=total * 100 // usual,
        )
    ]
