"""Findings (异常) as people handle them: listed, marked as seen or explained; thresholds, and how to be told."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.anomalies import BOUNDS, RULES, Thresholds
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.invoice.rules import text
from piaoma.store import Row, Transaction, milliseconds, write_block

from .events import Actor, record
from .page import Page, cut, resume

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50
NOTE_MAX = 200  # characters


class Alerts(StrEnum):
    """How owner and accountant are told of what is new."""

    OFF = "off"
    DAILY = "daily"
    AT_ONCE = "at_once"


class Watching(msgspec.Struct, frozen=True):
    """A merchant's choices."""

    thresholds: Thresholds = Thresholds()
    alerts: Alerts = Alerts.DAILY


class Found(msgspec.Struct, frozen=True):
    """A finding as people see it. ``numbers`` are some of ``invoices``."""

    finding_id: str
    rule: str
    figures: Mapping[str, str]
    numbers: tuple[str, ...]
    invoices: int
    state: str  # open, seen, explained
    note: str
    marked_by: str
    marked_at: datetime | None
    found_at: datetime


async def watching(office: Office, merchant_id: int) -> Watching:
    """The merchant's choices; what he never changed stands at the defaults."""
    row = await office.database.read_by_key(
        "SELECT thresholds, alerts FROM watching WHERE merchant_id = $1", merchant_id
    )
    if row is None:
        return Watching()
    kept = msgspec.json.decode(row[0], type=dict[str, object])
    # A threshold that an earlier version had and this one has not says nothing.
    known = {name: value for name, value in kept.items() if name in Thresholds.__struct_fields__}
    return Watching(msgspec.convert(known, Thresholds), Alerts(row[1]))


async def choose(office: Office, by: Actor, wanted: Watching) -> None:
    """Change thresholds and alerts; before and after stand in the trail. Raises ``Refused`` WATCH-THRESHOLD at each field."""
    limits = wanted.thresholds
    refuse_all([
        Refusal("WATCH-THRESHOLD", name, {"min": str(bound.least), "max": str(bound.most)})
        for name, bound in BOUNDS.items()
        if not bound.least <= getattr(limits, name) <= bound.most
    ])  # fmt: skip
    assert set(limits.off) <= RULES.keys(), "the form names rules of ours"
    before = await watching(office, by.merchant_id)

    async def work(transaction: Transaction) -> None:
        kept = msgspec.json.encode(limits).decode()
        await transaction.execute(_CHOOSE, by.merchant_id, kept, wanted.alerts.value)
        await record(transaction, by, office.now(), "watch.change", before=_told(before), after=_told(wanted))

    await write_block(office.database, work)


_CHOOSE = """
INSERT INTO watching (merchant_id, thresholds, alerts) VALUES ($1, $2, $3)
ON CONFLICT (merchant_id) DO UPDATE SET thresholds = excluded.thresholds, alerts = excluded.alerts
"""


def _told(one: Watching) -> dict[str, object]:
    """Only what differs is kept in the trail, under the name of its threshold."""
    told = {f"limit_{name}": getattr(one.thresholds, name) for name in BOUNDS}
    return {**told, "rules_off": " ".join(one.thresholds.off), "alerts": one.alerts.value}


async def list_findings(office: Office, merchant_id: int, state: str = "", cursor: str = "") -> Page[Found]:
    """Findings, newest first; those of one state when one is named."""
    before_ms, skip = resume(cursor)
    skip = skip if cursor else 0
    rows = await office.database.read(_LIST, merchant_id, before_ms, state, LIST_MAX + 1, skip)
    found = [found_of(office, row) for row in rows]
    # Many may be of one moment: the cursor counts how many of it were shown.
    shown = [milliseconds(one.found_at) for one in found[:LIST_MAX]]
    again = skip if shown and cursor and shown[-1] == before_ms else 0
    return cut(
        found, LIST_MAX, lambda one: (milliseconds(one.found_at), again + shown.count(milliseconds(one.found_at)))
    )


COLUMNS = "finding_id, rule, figures, numbers, invoices, state, note, marked_by, marked_at_ms, found_at_ms"
_LIST = f"""
SELECT {COLUMNS} FROM findings WHERE merchant_id = $1 AND found_at_ms <= $2 AND ($3 = '' OR state = $3)
ORDER BY found_at_ms DESC, finding_id LIMIT $4 OFFSET $5
"""  # noqa: S608


def found_of(office: Office, row: Row) -> Found:
    """A finding from a row of ``COLUMNS``."""
    zone = office.now().tzinfo
    marked_ms = row["marked_at_ms"]
    return Found(
        row["finding_id"], row["rule"], msgspec.json.decode(row["figures"], type=dict[str, str]),
        msgspec.json.decode(row["numbers"], type=tuple[str, ...]), row["invoices"], row["state"], row["note"],
        row["marked_by"], None if marked_ms is None else datetime.fromtimestamp(marked_ms / 1000, zone),
        datetime.fromtimestamp(row["found_at_ms"] / 1000, zone),
    )  # fmt: skip


async def open_count(office: Office, merchant_id: int) -> int:
    """How many nobody has marked."""
    rows = await office.database.read(
        "SELECT count(*) FROM findings WHERE merchant_id = $1 AND state = 'open'", merchant_id
    )
    return int(rows[0][0])


async def finding(office: Office, merchant_id: int, finding_id: str) -> Found:
    """Raises ``Refused`` FINDING-NOT-FOUND."""
    rows = await office.database.read(
        f"SELECT {COLUMNS} FROM findings WHERE merchant_id = $1 AND finding_id = $2",  # noqa: S608
        merchant_id, finding_id[:100],
    )  # fmt: skip
    if not rows:
        raise refuse("FINDING-NOT-FOUND")
    return found_of(office, rows[0])


async def mark(office: Office, by: Actor, finding_id: str, state: str, note: str) -> None:
    """Mark as seen, as explained with a note, or open again.

    Raises ``Refused`` FINDING-NOT-FOUND, TEXT-EMPTY when it is explained by nothing, REQUEST-MALFORMED.
    """
    if state not in ("open", "seen", "explained"):
        raise refuse("REQUEST-MALFORMED", "state", have=state[:20])
    refuse_all(text.check(note, "note", NOTE_MAX, required=state == "explained"))
    before = await finding(office, by.merchant_id, finding_id)
    marked = state != "open"
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE findings SET state = $3, note = $4, marked_by = $5, marked_at_ms = $6"
            " WHERE merchant_id = $1 AND finding_id = $2",
            by.merchant_id, before.finding_id, state, note.strip() if marked else "", by.name if marked else "",
            milliseconds(office.now()) if marked else None,
        )  # fmt: skip
        await record(
            transaction, by, office.now(), "finding.mark", before.finding_id,
            {"state": before.state, "note": before.note}, {"state": state, "note": note.strip()},
        )  # fmt: skip
