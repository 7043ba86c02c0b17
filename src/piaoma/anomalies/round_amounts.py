"""Round amounts (整额): meals and goods rarely come to whole hundreds; vouchers and favours do."""

from __future__ import annotations

from .facts import Facts, Finding, fen, finding
from .thresholds import Thresholds


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """At most one a day, when both share and number are reached."""
    unit = fen(limits.round_unit)
    sales = facts.blue
    whole = [sale for sale in sales if sale.total % unit == 0]
    if len(whole) < limits.round_count or len(whole) * 100 < len(sales) * limits.round_percent:
        return []
    return [
        finding(
            "round",
            facts.day,
            whole,
            count=len(whole),
            invoices=len(sales),
            percent=len(whole) * 100 // len(sales),
            unit=limits.round_unit,
        )
    ]
