"""Many titles from one device (一台设备多个抬头): whoever collects other people's receipts has one phone."""

from __future__ import annotations

from collections import defaultdict

from .facts import Facts, Finding, Sale, finding, yuan
from .thresholds import Thresholds


def find(facts: Facts, limits: Thresholds) -> list[Finding]:
    """One for each device. Sales that the shop issued itself have none: a counter serves everybody."""
    by_device: dict[str, list[Sale]] = defaultdict(list)
    for sale in facts.blue:
        if sale.device:
            by_device[sale.device].append(sale)
    found = []
    for device, sales in by_device.items():
        titles = {sale.buyer for sale in sales}
        if len(titles) >= limits.devices_titles:
            total = yuan(sum(sale.total for sale in sales))
            found.append(
                finding("devices", facts.day, sales, device, titles=len(titles), invoices=len(sales), total=total)
            )
    return found
