"""The same sale twice (重复开票): one buyer, one amount, minutes apart, from different codes."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

from .facts import Facts, Finding, Sale, fen, finding, yuan
from .thresholds import Thresholds


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """One for each run of such invoices."""
    apart = timedelta(minutes=limits.twice_minutes)
    alike: dict[tuple[str, int], list[Sale]] = defaultdict(list)
    for sale in sorted(facts.blue, key=lambda sale: sale.issued_at):
        if sale.total >= fen(limits.twice_least):
            alike[(sale.buyer, sale.total)].append(sale)
    found = []
    for (_, total), sales in alike.items():
        for run in _runs(sales, apart):
            found.append(
                finding(
                    "twice",
                    facts.day,
                    run,
                    run[0].number,
                    count=len(run),
                    total=yuan(total),
                    minutes=limits.twice_minutes,
                )
            )
    return found


def _runs(sales: list[Sale], apart: timedelta) -> list[list[Sale]]:
    """Two or more that follow each other closely; ``sales`` are in the order of their times."""
    runs = [[sales[0]]]
    for sale in sales[1:]:
        if sale.issued_at - runs[-1][-1].issued_at <= apart:
            runs[-1].append(sale)
        else:
            runs.append([sale])
    return [run for run in runs if len(run) > 1]
