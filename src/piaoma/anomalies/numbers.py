"""Numbers low (号码不足): the channel gave no further block when it was asked for one."""

from __future__ import annotations

from .facts import Facts, Finding, finding
from .thresholds import Thresholds


def find(facts: Facts, _limits: Thresholds) -> list[Finding]:
    """At most one a day. While a block can be had, few numbers are no matter."""
    if facts.numbers_left is None:
        return []
    return [finding("numbers", facts.day, (), left=facts.numbers_left)]
