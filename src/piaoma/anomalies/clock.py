"""The clock went back (时钟回退): an invoice is later than now, so dates and deadlines cannot be right."""

from __future__ import annotations

from datetime import timedelta

from .facts import Facts, Finding, finding
from .thresholds import Thresholds

SKEW_SECONDS_MAX = 120  # what processes of one installation may differ by


def find(facts: Facts, _limits: Thresholds) -> list[Finding]:
    """At most one a day."""
    last = facts.last_issued
    if last is None or last - facts.now <= timedelta(seconds=SKEW_SECONDS_MAX):
        return []
    minutes = int((last - facts.now).total_seconds()) // 60
    return [finding("clock", facts.day, (), last=f"{last:%Y-%m-%d %H:%M:%S}", minutes=minutes)]
