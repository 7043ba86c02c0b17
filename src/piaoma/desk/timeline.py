"""The timeline (经过) of an invoice: what happened to it and when, from what is on disk anyway."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Literal

import msgspec

from .deliver import Delivery
from .records import Invoice

if TYPE_CHECKING:
    from .office import Office

What = Literal[
    "made", "scanned", "confirmed", "issued", "reported", "logged", "mailed", "mail_failed", "mail_waits", "opened",
    "downloaded", "red_raised", "red_issued", "replaced",
]  # fmt: skip


class Event(msgspec.Struct, frozen=True):
    """``by`` is who made the code or the red form, where a mail went (masked), or the invoice that took back or
    replaced this one; ``times`` how often it was opened or fetched."""

    at: datetime
    what: What
    by: str = ""
    times: int = 1


_CODE = "SELECT created_at_ms, created_by, viewed_at_ms FROM codes WHERE merchant_id = $1 AND code_id = $2"
_CONFIRMED = """
SELECT s.submitted_at_ms FROM invoices i
JOIN issues s ON s.merchant_id = i.merchant_id AND s.issue_key = i.issue_key
WHERE i.merchant_id = $1 AND i.number = $2
"""
_LOGGED = """
SELECT signed.signed_at_ms FROM log_leaves l
JOIN log_checkpoints signed ON signed.size = (SELECT min(size) FROM log_checkpoints WHERE size > l.leaf)
WHERE l.merchant_id = $1 AND l.number = $2
"""
_OPENS = "SELECT what, times, first_at_ms FROM invoice_opens WHERE merchant_id = $1 AND number = $2"
_CORRECTED = """
SELECT 'red_raised' AS what, created_at_ms AS at_ms, made_by AS told FROM red_forms
WHERE merchant_id = $1 AND blue_number = $2
UNION ALL SELECT 'red_issued', issued_at_ms, number FROM invoices WHERE merchant_id = $1 AND corrects = $2
UNION ALL SELECT 'replaced', issued_at_ms, number FROM invoices WHERE merchant_id = $1 AND replaces = $2
"""
_MAILS: dict[str, What] = {"done": "mailed", "dead": "mail_failed", "waiting": "mail_waits"}


async def timeline(office: Office, invoice: Invoice, deliveries: list[Delivery]) -> list[Event]:
    """Everything in order of time; what happened in the same second stands in the order of the procedure."""
    find, zone = office.database.read_by_key, office.now().tzinfo
    key = invoice.merchant_id, invoice.number
    events: list[Event] = []

    def add(at_ms: int | None, what: What, by: str = "", times: int = 1) -> None:
        if at_ms is not None:
            events.append(Event(datetime.fromtimestamp(at_ms / 1000, zone), what, by, times))

    if invoice.code_id is not None and (code := await find(_CODE, invoice.merchant_id, invoice.code_id)):
        add(code["created_at_ms"], "made", code["created_by"])
        add(code["viewed_at_ms"], "scanned")
        if row := await find(_CONFIRMED, *key):
            add(row[0], "confirmed")
    events.append(Event(invoice.issued_at, "issued"))
    if row := await find(_LOGGED, *key):
        add(row[0], "logged")
    for one in deliveries:
        if one.kind == "report" and one.done_at:
            events.append(Event(one.done_at, "reported"))
        elif one.kind == "mail":
            events.append(Event(one.done_at or one.next_at, _MAILS[one.state], one.target))
    for row in await office.database.read(_OPENS, *key):
        add(row["first_at_ms"], "opened" if row["what"] == "open" else "downloaded", times=row["times"])
    for row in await office.database.read(_CORRECTED, *key):
        add(row["at_ms"], row["what"], row["told"])
    return sorted(events, key=lambda event: event.at)
