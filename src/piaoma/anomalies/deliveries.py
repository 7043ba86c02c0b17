"""Deliveries stuck (交付失败): mails that failed for good, each with a customer who waits."""

from __future__ import annotations

from .facts import NUMBERS_MAX, Facts, Finding
from .thresholds import Thresholds


def find(facts: Facts, _limits: Thresholds) -> list[Finding]:
    """At most one a day, about the deliveries that are dead now."""
    if not facts.dead:
        return []
    kept = tuple(dict.fromkeys(facts.dead))
    return [
        Finding("deliveries", facts.day, "", {"count": str(len(facts.dead))}, kept[:NUMBERS_MAX], len(kept))
    ]  # fmt: skip
