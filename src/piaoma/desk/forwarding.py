"""Handing over (本站直达): what a merchant of this site issues to another one is in that one's received list by itself.

It follows the log from leaf to leaf, like the index, so issuing knows nothing of it. One transaction takes a turn of
leaves and moves the cursor. A red invoice is handed over too, and whoever received the blue one is told, however it
came: what still waits becomes doubtful, and what was booked raises an alarm.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from piaoma.documents.contents import ITEMS_SHOWN_MAX
from piaoma.index import lines_of
from piaoma.invoice.refusal import Refusal
from piaoma.store import Row, Transaction, WriteConflict, milliseconds

from .events import Actor, record
from .received import State
from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

FORWARDING_SECONDS = 1.0  # between two turns
FORWARDING_TURN_MAX = 256  # leaves looked at by one transaction

_log = structlog.get_logger("piaoma.forwarding")
_CURSOR = "SELECT leaf FROM receiving_cursor"
_MOVE = "UPDATE receiving_cursor SET leaf = $2 WHERE leaf = $1"
_LEAVES = "SELECT count(*) FROM log_leaves WHERE leaf >= $1 AND leaf < $2"
# What has a buyer here, or takes something back. A company's invoice to itself is not handed over.
_NEXT = """
SELECT l.leaf, i.merchant_id, i.number, i.buyer_name, i.buyer_id, i.amount_fen, i.tax_fen, i.total_fen, i.issued_on,
       i.issued_at_ms, i.corrects, i.replaces, i.taken_fen, m.name AS seller_name, m.taxpayer_id AS seller_id,
       b.merchant_id AS receiver_id, o.taken_fen AS blue_taken_fen, o.total_fen AS blue_total_fen
FROM log_leaves l
JOIN invoices i ON i.merchant_id = l.merchant_id AND i.number = l.number
JOIN merchants m ON m.merchant_id = l.merchant_id
LEFT JOIN merchants b ON b.taxpayer_id = i.buyer_id AND b.merchant_id <> i.merchant_id
LEFT JOIN invoices o ON o.merchant_id = i.merchant_id AND o.number = i.corrects
WHERE l.leaf >= $1 AND l.leaf < $2 AND (b.merchant_id IS NOT NULL OR i.corrects IS NOT NULL) ORDER BY l.leaf
"""
_ORIGINAL = "SELECT original FROM invoices WHERE merchant_id = $1 AND number = $2"
_HAND_OVER = """
INSERT INTO received_invoices (merchant_id, number, state, way, brought_by, received_at_ms, issued_on, amount_fen,
    tax_fen, total_fen, seller_name, seller_id, buyer_name, buyer_id, items, verdict, judged_at_ms, issuer_id, corrects,
    replaces)
VALUES ($1, $2, 'waiting', 'site', '', $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, 'valid', $3, $13, $14, $15)
ON CONFLICT (merchant_id, number) DO UPDATE SET issuer_id = excluded.issuer_id, corrects = excluded.corrects,
    replaces = excluded.replaces
"""
_HOLDERS = """
SELECT merchant_id, state, doubt FROM received_invoices t
WHERE issuer_id = $1 AND number = $2 AND reversal <> $3 ORDER BY merchant_id {for_update}
"""
_REVERSE = """
UPDATE received_invoices SET reversal = $3, reversed_at_ms = $4, state = $5, doubt = $6, alarm = $7
WHERE merchant_id = $1 AND number = $2
"""


async def keep_forwarding(office: Office) -> None:
    """Follow the log until cancelled."""
    await take_turns(_log, FORWARDING_SECONDS, lambda: forward_all(office))


async def forward_all(office: Office) -> None:
    """Everything that is in the log by now."""
    while await forward(office):
        pass


async def forward(office: Office) -> int:
    """One turn; how many leaves were looked at. Of several processes one does it."""
    database = office.database
    cursor = await database.read_by_key(_CURSOR)
    assert cursor is not None, "the migration made the cursor"
    start = int(cursor[0])
    count = int((await database.read(_LEAVES, start, start + FORWARDING_TURN_MAX))[0][0])
    if not count:
        return 0
    rows = await database.read(_NEXT, start, start + count)
    items = {row["leaf"]: await _items(office, row) for row in rows if row["receiver_id"] is not None}
    try:
        async with database.write() as transaction:
            if await transaction.execute(_MOVE, start, start + count) != 1:
                return 0
            for row in rows:
                if row["receiver_id"] is not None:
                    await transaction.execute(_HAND_OVER, row["receiver_id"], row["number"], row["issued_at_ms"],
                                              *_columns(row, items[row["leaf"]]))  # fmt: skip
                if row["corrects"] is not None:
                    await _reverse(transaction, office, row)
    except WriteConflict:
        return 0  # another process was faster
    return count


async def _items(office: Office, row: Row) -> str:
    original = (await office.database.read(_ORIGINAL, row["merchant_id"], row["number"]))[0][0]
    lines = await asyncio.to_thread(lines_of, bytes(original))
    return "、".join(list(dict.fromkeys(line.item for line in lines))[:ITEMS_SHOWN_MAX])


def _columns(row: Row, items: str) -> tuple[Any, ...]:
    return (
        row["issued_on"], row["amount_fen"], row["tax_fen"], row["total_fen"], row["seller_name"], row["seller_id"],
        row["buyer_name"], row["buyer_id"], items, row["merchant_id"], row["corrects"] or "", row["replaces"] or "",
    )  # fmt: skip


async def _reverse(transaction: Transaction, office: Office, row: Row) -> None:
    """Tell of a red invoice. What is told is how the blue one stands now."""
    reversal = "wholly" if row["blue_taken_fen"] == row["blue_total_fen"] else "partly"
    at = datetime.fromtimestamp(row["issued_at_ms"] / 1000, office.now().tzinfo)
    await tell_holders(transaction, office, (row["merchant_id"], row["corrects"]), reversal, at, row["seller_name"])


async def tell_holders(
    transaction: Transaction, office: Office, blue: tuple[int, str], reversal: str, at: datetime, seller_name: str
) -> None:
    """Tell every merchant that received an invoice, by its issuer and number, that it was taken back. Told before is
    told: nothing changes then."""
    doubt = Refusal(_CAUSES[reversal], "", {"when": f"{at:%Y-%m-%d %H:%M}"})
    lock = _HOLDERS.format(for_update=office.database.dialect.for_update)
    for holder in await transaction.fetch(lock, *blue, reversal):
        earlier = msgspec.json.decode(holder["doubt"], type=list[Refusal]) if holder["doubt"] else []
        others = [one for one in earlier if one.cause not in _CAUSES.values()]
        told = msgspec.json.encode([doubt, *others]).decode()
        booked = holder["state"] == State.BOOKED.value
        state = State.DOUBTFUL.value if holder["state"] == State.WAITING.value else holder["state"]
        await transaction.execute(
            _REVERSE, holder["merchant_id"], blue[1], reversal, milliseconds(at), state, told, int(booked)
        )
        issuer = Actor(holder["merchant_id"], None, seller_name)
        shown = "alarm" if booked else state
        await record(transaction, issuer, office.now(), "received.reverse", blue[1],
                     {"state": holder["state"]}, {"state": shown, "doubt": doubt.cause})  # fmt: skip


_CAUSES = {"wholly": "RED-TAKEN-BACK", "partly": "RED-TAKEN-BACK-PARTLY"}
