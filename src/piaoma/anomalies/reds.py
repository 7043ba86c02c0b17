"""A burst of red invoices (红冲集中): much of what was issued is taken back."""

from __future__ import annotations

from .facts import Facts, Finding, finding, yuan
from .thresholds import Thresholds


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """At most one a day, when both share and number are reached."""
    reds = [sale for sale in facts.sales if sale.red]
    if len(reds) < limits.reds_count or len(reds) * 100 < len(facts.sales) * limits.reds_percent:
        return []
    return [
        finding(
            "reds",
            facts.day,
            reds,
            count=len(reds),
            invoices=len(facts.sales),
            percent=len(reds) * 100 // len(facts.sales),
            total=yuan(sum(sale.total for sale in reds)),
        )
    ]
