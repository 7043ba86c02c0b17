"""From the rows of a statement to payments: times and amounts as tills and providers write them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation

from piaoma.documents.statement import Statement
from piaoma.invoice.money import to_fen
from piaoma.store import milliseconds

from .matching import Payment

ORDER_MAX = 64  # characters of an order number
AMOUNT_FEN_MAX = 10**13  # of one payment; what is more is none


def payments_of(statement: Statement, columns: Mapping[str, int], now: datetime) -> tuple[list[Payment], int]:
    """The payments of a file, and how many rows have no time or no amount: sums at its foot, notes, nothing paid.

    A payment with an order number is named by it, its sign and amount; one without by what it says, and by how many
    alike stood before it. So the same payment in another file is the same.
    """
    found: dict[str, Payment] = {}
    alike: Counter[str] = Counter()
    skipped = 0
    for row in statement.rows:
        cells = {what: row[place] if place < len(row) else "" for what, place in columns.items()}
        paid_at, amount = moment_of(cells["time"], now), amount_of(cells["amount"])
        if paid_at is None or not amount:
            skipped += 1
            continue
        order = re.sub(r"\s", "", cells.get("order", ""))[:ORDER_MAX]
        paid_at_ms = milliseconds(paid_at)
        payment_id = f"{order}|{amount}" if order else f"|{amount}|{paid_at_ms}"
        if not order:
            alike[payment_id] += 1
            payment_id += f"|{alike[payment_id]}"
        if payment_id in found:
            skipped += 1
        found[payment_id] = Payment(payment_id, order, paid_at_ms, amount)
    return list(found.values()), skipped


_DIGITS = re.compile(r"\d+")


def moment_of(text: str, now: datetime) -> datetime | None:
    """A time as statements write it: ``2026-11-25 12:31:05``, ``2026/11/25 12:31``, ``20261125123105``. A day alone is
    its beginning. None for what is no time of Asia/Shanghai."""
    parts = _DIGITS.findall(text)
    if len(parts) == 1 and len(parts[0]) in (8, 12, 14):
        whole = parts[0]
        parts = [whole[:4], *(whole[place : place + 2] for place in range(4, len(whole), 2))]
    if not 3 <= len(parts) <= 7:
        return None
    try:
        return datetime(*(int(part) for part in parts[:6]), tzinfo=now.tzinfo)  # type: ignore[arg-type,misc]
    except ValueError:
        return None


def amount_of(text: str) -> int | None:
    """An amount in fen as statements write it: ``¥1,280.50``, ``-58``, ``58.00元``; None for what is none."""
    bare = re.sub(r"[¥￥,，\s元+]", "", text)
    if bare.startswith("(") and bare.endswith(")"):
        bare = f"-{bare[1:-1]}"
    try:
        amount = Decimal(bare)
        if not amount.is_finite() or amount != round(amount, 2) or abs(amount) * 100 > AMOUNT_FEN_MAX:
            return None
    except (InvalidOperation, ValueError):
        return None
    return to_fen(round(amount, 2))
