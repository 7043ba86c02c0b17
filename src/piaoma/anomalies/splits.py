"""Splits just below a limit (拆分): one buyer, several invoices, each only just under what must be approved."""

from __future__ import annotations

from collections import defaultdict

from .facts import Facts, Finding, Sale, fen, finding, yuan
from .thresholds import Thresholds


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """One for each buyer."""
    limit = fen(limits.splits_limit)
    floor = limit * (100 - limits.splits_percent) // 100
    by_buyer: dict[str, list[Sale]] = defaultdict(list)
    for sale in facts.blue:
        if floor <= sale.total < limit:
            by_buyer[sale.buyer].append(sale)
    return [
        finding(
            "splits",
            facts.day,
            sales,
            buyer,
            count=len(sales),
            limit=yuan(limit),
            floor=yuan(floor),
            total=yuan(sum(sale.total for sale in sales)),
        )
        for buyer, sales in by_buyer.items()
        if len(sales) >= limits.splits_count
    ]
