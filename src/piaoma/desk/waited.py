"""Invoices by how long their customer took (等待时间): the lists behind the board's figures of waiting."""

from __future__ import annotations

from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING

from piaoma import index
from piaoma.store import milliseconds

from .board import DAYS_SHOWN
from .page import Page, cut, resume
from .records import Invoice, invoices_of

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50


async def waited(office: Office, merchant_id: int, bound_s: int, cursor: str = "") -> Page[Invoice]:
    """Invoices of the board's days that came within ``bound_s`` seconds of their code and not within the bound before,
    newest first; as many as the board counts. An unknown bound has none."""
    bounds = index.WAIT_BOUNDS_S
    if bound_s not in bounds:
        return Page(())
    place = bounds.index(bound_s)
    least_ms = bounds[place - 1] * 1000 if place else -(1 << 60)
    today = office.now().date()
    first = datetime.combine(today - timedelta(days=DAYS_SHOWN - 1), time(), office.now().tzinfo)
    before_ms, before_number = resume(cursor)
    rows = await office.database.read(
        _WAITED, merchant_id, milliseconds(first), least_ms, bound_s * 1000, before_ms, f"{before_number:020d}",
        LIST_MAX + 1,
    )  # fmt: skip
    page = cut(list(rows), LIST_MAX, lambda row: (row[1], int(row[0])))
    found = await invoices_of(office, [(merchant_id, row[0]) for row in page.items])
    return Page(tuple(one for one, _ in found), page.next_cursor)


_WAITED = """
SELECT i.number, i.issued_at_ms FROM invoices i
JOIN codes c ON c.merchant_id = i.merchant_id AND c.code_id = i.code_id
WHERE i.merchant_id = $1 AND i.issued_at_ms >= $2
  AND i.issued_at_ms - c.created_at_ms >= $3 AND i.issued_at_ms - c.created_at_ms < $4
  AND (i.issued_at_ms < $5 OR i.issued_at_ms = $5 AND i.number < $6)
ORDER BY i.issued_at_ms DESC, i.number DESC LIMIT $7
"""
