"""Anomalies (异常): what in a day's trade somebody should look at, and why.

In come the facts of one merchant and day, and his thresholds; out go findings with the figures that made them and the
very invoices. Nothing here reads a store or a clock, so each rule can be tried with any day one can think of.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from . import (
    clock,
    deliveries,
    devices,
    hours,
    numbers,
    quota,
    reds,
    refusals,
    round_amounts,
    spike,
    splits,
    twice,
    unknown,
    unusual,
)
from .facts import Facts, Failure, Finding, Quota, Sale
from .telling import Telling, name_of, telling
from .thresholds import BOUNDS, Bound, Thresholds

Rule = Callable[[Facts, Thresholds], list[Finding]]

# In the order in which a page shows them: what stops the trade first.
RULES: Mapping[str, Rule] = {
    "unknown": unknown.find,
    "numbers": numbers.find,
    "quota": quota.find,
    "refusals": refusals.find,
    "deliveries": deliveries.find,
    "clock": clock.find,
    "spike": spike.find,
    "unusual": unusual.find,
    "devices": devices.find,
    "splits": splits.find,
    "twice": twice.find,
    "round": round_amounts.find,
    "reds": reds.find,
    "hours": hours.find,
}


def find_all(facts: Facts, thresholds: Thresholds) -> list[Finding]:
    """What every rule finds that the merchant has not switched off."""
    return [found for name, rule in RULES.items() if name not in thresholds.off for found in rule(facts, thresholds)]


__all__ = [
    "BOUNDS", "RULES", "Bound", "Facts", "Failure", "Finding", "Quota", "Sale", "Telling", "Thresholds", "find_all",
    "name_of", "telling",
]  # fmt: skip
