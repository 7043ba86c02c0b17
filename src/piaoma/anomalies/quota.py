"""Quota nearly gone (额度将尽): little is left, or the outlook says that it ends within days."""

from __future__ import annotations

from datetime import timedelta

from .facts import Facts, Finding, finding, yuan
from .thresholds import Thresholds


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """One a month."""
    quota = facts.quota
    if quota is None or quota.limit <= 0:
        return []
    left = quota.limit - quota.used
    little = left * 100 <= quota.limit * limits.quota_percent
    today = facts.now.date()
    soon = quota.runs_out is not None and quota.runs_out <= today + timedelta(days=limits.quota_days)
    if not little and not soon:
        return []
    return [
        finding(
            "quota",
            quota.month,
            (),
            left=yuan(left),
            limit=yuan(quota.limit),
            percent=left * 100 // quota.limit,
            day=quota.runs_out.isoformat() if quota.runs_out else "—",
        )
    ]
