"""Repeated refusals (反复失败): issuing fails again and again for the same reason."""

from __future__ import annotations

from collections import Counter

from .facts import Facts, Finding, finding
from .thresholds import Thresholds


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """One for each cause and day."""
    counted = Counter(failure.cause for failure in facts.failures)
    latest = {failure.cause: failure.at for failure in facts.failures}
    return [
        finding("refusals", facts.day, (), cause, cause=cause, count=count, last=f"{latest[cause]:%H:%M}")
        for cause, count in counted.most_common()
        if count >= limits.refusals_count
    ]
