"""Outcome unknown for long (结果未知): the platform has not said what became of an issue."""

from __future__ import annotations

from datetime import timedelta

from .facts import Facts, Finding, finding
from .thresholds import Thresholds


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """One a day for all of them: they have one reason, and one remedy."""
    before = facts.now - timedelta(minutes=limits.unknown_minutes)
    long = [since for _, since in facts.unknown if since <= before]
    if not long:
        return []
    return [finding("unknown", facts.day, (), count=len(long), since=f"{min(long):%Y-%m-%d %H:%M}",
                    minutes=limits.unknown_minutes)]  # fmt: skip
