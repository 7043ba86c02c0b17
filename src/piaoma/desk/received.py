"""Received invoices (收到的发票): the list of what others issued to a merchant, one of them, its files.

Each number is there once, however many files of it came. Those that a merchant of this site issued are handed over by
``forwarding``; they are shown once the operator has confirmed that the receiver is who it says.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.documents.report import Light, Report
from piaoma.invoice.money import from_fen
from piaoma.invoice.refusal import Refusal, refuse
from piaoma.store import Row
from piaoma.trust import Verdict

from .filters import Conditions, Filter
from .page import Page

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50
NUMBER_MAX = 24  # characters of a number, with the code of an older one
READ_ROWS = 200  # of a list that is read as a whole, at a time
_CURSOR = re.compile(r"(\d{1,15})\.(\d{1,24})")


class State(StrEnum):
    """What became of it."""

    WAITING = "waiting"  # 待核对
    DOUBTFUL = "doubtful"  # 有疑点
    BOOKED = "booked"  # 已入账
    RETURNED = "returned"  # 已退回


class Way(StrEnum):
    """How it came."""

    UPLOAD = "upload"  # 上传
    MAIL = "mail"  # 邮件
    SITE = "site"  # 本站直达


class Received(msgspec.Struct, frozen=True):
    """A received invoice. Money in yuan, None where the file does not say; times aware, Asia/Shanghai.

    ``doubt`` is why somebody must look. ``reversal`` is what its issuer took back of it since (partly, wholly), and
    ``alarm`` that this happened after it was booked and nobody has seen to it. ``issuer_id`` is the merchant of this
    site that issued it: then its record is the original.
    """

    merchant_id: int
    number: str
    state: State
    way: Way
    brought_by: str
    received_at: datetime
    issued_on: date | None
    amount: Decimal | None
    tax: Decimal | None
    total: Decimal | None
    seller_name: str
    seller_id: str
    buyer_name: str
    buyer_id: str
    items: str
    verdict: Verdict
    report: Report | None
    doubt: tuple[Refusal, ...]
    judged_at: datetime
    issuer_id: int | None
    corrects: str
    replaces: str
    reversal: str
    reversed_at: datetime | None
    alarm: bool
    voucher: str
    claimant: str
    reason: str
    decided_by: str
    decided_at: datetime | None

    @property
    def red(self) -> bool:
        """Whether it is a red invoice (红字发票)."""
        return bool(self.corrects) or (self.total is not None and self.total < 0)

    @property
    def mark(self) -> str:
        """The name of its chip."""
        return "alarm" if self.alarm else self.state.value

    @property
    def beyond_doubt(self) -> bool:
        """Whether it is no genuine invoice, so that nobody may book it: something is wrong with the file itself, not
        only that it was taken back since."""
        if self.report is None or self.verdict is not Verdict.INVALID:
            return False
        return any(one.light is Light.BAD and one.name != "red" for one in self.report.items)


class Wanted(msgspec.Struct, frozen=True):
    """What to look for; empty fields do not matter. ``state`` may also be ``attention``: what somebody must look at."""

    filter: Filter = Filter()
    state: str = ""
    way: str = ""
    numbers: tuple[str, ...] = ()  # these alone, when there are any


class Found(msgspec.Struct, frozen=True):
    """A page, and count and sum over all pages."""

    page: Page[Received]
    count: int
    total: Decimal


class Kept(msgspec.Struct, frozen=True):
    """A file that came."""

    digest: str
    kind: str
    name: str
    size: int
    added_at: datetime
    added_by: str


ATTENTION = "attention"
COLUMNS = """merchant_id, number, state, way, brought_by, received_at_ms, issued_on, amount_fen, tax_fen, total_fen,
             seller_name, seller_id, buyer_name, buyer_id, items, verdict, report, doubt, judged_at_ms, issuer_id,
             corrects, replaces, reversal, reversed_at_ms, alarm, voucher, claimant, reason, decided_by,
             decided_at_ms"""
# The one condition under which a merchant sees a row.
_VISIBLE = (
    "merchant_id = {0} AND (way <> 'site' OR EXISTS (SELECT 1 FROM merchants m"
    " WHERE m.merchant_id = {0} AND m.verified_at_ms IS NOT NULL))"
)
_STATES = {
    "": "",
    ATTENTION: " AND (state = 'doubtful' OR alarm = 1)",
    **{state.value: f" AND state = '{state.value}'" for state in State},
}
STATES = tuple(_STATES)


def received_of(row: Row, zone: object) -> Received:
    """An invoice from a row of ``COLUMNS``."""

    def moment(ms: int | None) -> datetime | None:
        return None if ms is None else datetime.fromtimestamp(ms / 1000, zone)  # type: ignore[arg-type]

    def money(fen: int | None) -> Decimal | None:
        return None if fen is None else from_fen(fen)

    received, judged = moment(row["received_at_ms"]), moment(row["judged_at_ms"])
    assert received is not None and judged is not None
    return Received(
        row["merchant_id"], row["number"], State(row["state"]), Way(row["way"]), row["brought_by"], received,
        date.fromisoformat(row["issued_on"]) if row["issued_on"] else None, money(row["amount_fen"]),
        money(row["tax_fen"]), money(row["total_fen"]), row["seller_name"], row["seller_id"], row["buyer_name"],
        row["buyer_id"], row["items"], Verdict(row["verdict"]),
        msgspec.json.decode(row["report"], type=Report) if row["report"] else None,
        msgspec.json.decode(row["doubt"], type=tuple[Refusal, ...]) if row["doubt"] else (), judged, row["issuer_id"],
        row["corrects"], row["replaces"], row["reversal"], moment(row["reversed_at_ms"]), bool(row["alarm"]),
        row["voucher"], row["claimant"], row["reason"], row["decided_by"], moment(row["decided_at_ms"]),
    )  # fmt: skip


def _where(merchant_id: int, wanted: Wanted) -> Conditions:
    where = Conditions(_VISIBLE, merchant_id)
    filter_ = wanted.filter
    where.add_text(filter_.text, ("number", "seller_name", "seller_id", "items", "voucher", "claimant"))
    if filter_.since is not None:
        where.add("issued_on >= {0}", filter_.since.isoformat())
    if filter_.until is not None:
        where.add("issued_on <= {0}", filter_.until.isoformat())
    where.add_totals(filter_, "total_fen")
    if wanted.way in set(Way):
        where.add("way = {0}", wanted.way)
    return where


async def search(office: Office, merchant_id: int, wanted: Wanted, cursor: str = "") -> Found:
    """A merchant's received invoices that fit, the last received first. Raises ``Refused`` REQUEST-MALFORMED for a bad
    cursor."""
    where, state = _where(merchant_id, wanted), _STATES.get(wanted.state, "")
    sums = await office.database.read(
        f"SELECT count(*), coalesce(sum(total_fen), 0) FROM received_invoices WHERE {where}{state}",  # noqa: S608
        *where.values,
    )
    rows = await _rows(office, where, state, cursor, LIST_MAX + 1)
    shown = [received_of(row, office.now().tzinfo) for row in rows[:LIST_MAX]]
    onward = _cursor_of(rows[LIST_MAX - 1]) if len(rows) > LIST_MAX else ""
    return Found(Page(tuple(shown), onward), int(sums[0][0]), from_fen(int(sums[0][1])))


async def _rows(office: Office, where: Conditions, state: str, cursor: str, count: int) -> Sequence[Row]:
    if cursor:
        place = _CURSOR.fullmatch(cursor)
        if place is None:
            raise refuse("REQUEST-MALFORMED", have="cursor")
        at, number = f"${len(where.values) + 1}", f"${len(where.values) + 2}"
        values = (*where.values, int(place[1]), place[2])
        state += f" AND (received_at_ms < {at} OR (received_at_ms = {at} AND number < {number}))"
    else:
        values = tuple(where.values)
    return await office.database.read(
        f"SELECT {COLUMNS} FROM received_invoices WHERE {where}{state}"  # noqa: S608 - our own phrases
        f" ORDER BY received_at_ms DESC, number DESC LIMIT {count}",
        *values,
    )


def _cursor_of(row: Row) -> str:
    return f"{row['received_at_ms']}.{row['number']}"


async def read_parts(office: Office, merchant_id: int, wanted: Wanted) -> AsyncIterator[list[Received]]:
    """All that fit, part by part: those of ``numbers``, in their order, when there are any."""
    if wanted.numbers:
        for number in wanted.numbers:
            yield [await received(office, merchant_id, number)]
        return
    where, state, cursor = _where(merchant_id, wanted), _STATES.get(wanted.state, ""), ""
    while rows := await _rows(office, where, state, cursor, READ_ROWS):
        yield [received_of(row, office.now().tzinfo) for row in rows]
        cursor = _cursor_of(rows[-1])


async def received(office: Office, merchant_id: int, number: str) -> Received:
    """One of them. Raises ``Refused`` RECEIVED-NOT-FOUND."""
    where = Conditions(_VISIBLE, merchant_id)
    where.add("number = {0}", number[:NUMBER_MAX])
    rows = await office.database.read(f"SELECT {COLUMNS} FROM received_invoices WHERE {where}", *where.values)  # noqa: S608
    if not rows:
        raise refuse("RECEIVED-NOT-FOUND")
    return received_of(rows[0], office.now().tzinfo)


async def attention_count(office: Office, merchant_id: int) -> int:
    """How many somebody must look at."""
    where = Conditions(_VISIBLE, merchant_id)
    rows = await office.database.read(
        f"SELECT count(*) FROM received_invoices WHERE {where}{_STATES[ATTENTION]}",  # noqa: S608
        *where.values,
    )
    return int(rows[0][0])


class Related(msgspec.Struct, frozen=True):
    """The received invoices that belong to one: what a red one corrects, red ones of a blue one, old and new title."""

    corrects: Received | None = None
    reds: tuple[Received, ...] = ()
    replaces: Received | None = None
    replaced_by: Received | None = None


async def related(office: Office, one: Received) -> Related:
    """Those of them that this merchant has; of others nothing is told."""

    async def there(condition: str, value: str) -> tuple[Received, ...]:
        if not value:
            return ()
        where = Conditions(_VISIBLE, one.merchant_id)
        where.add(condition, value)
        rows = await office.database.read(
            f"SELECT {COLUMNS} FROM received_invoices WHERE {where} ORDER BY received_at_ms",  # noqa: S608
            *where.values,
        )
        return tuple(received_of(row, office.now().tzinfo) for row in rows)

    corrects, reds = await there("number = {0}", one.corrects), await there("corrects = {0}", one.number)
    replaces, replaced_by = await there("number = {0}", one.replaces), await there("replaces = {0}", one.number)
    return Related(_first(corrects), reds, _first(replaces), _first(replaced_by))


def _first(found: tuple[Received, ...]) -> Received | None:
    return found[0] if found else None


_FILES = """
SELECT digest, kind, name, length(data), added_at_ms, added_by FROM received_files
WHERE merchant_id = $1 AND number = $2 ORDER BY added_at_ms, digest
"""


async def files(office: Office, one: Received) -> list[Kept]:
    """The files that came of one, in their order."""
    rows = await office.database.read(_FILES, one.merchant_id, one.number)
    zone = office.now().tzinfo
    return [Kept(row[0], row[1], row[2], row[3], datetime.fromtimestamp(row[4] / 1000, zone), row[5]) for row in rows]


async def file(office: Office, one: Received, digest: str) -> tuple[str, bytes]:
    """(kind, bytes) of a file that came. Raises ``Refused`` RECEIVED-NOT-FOUND."""
    row = await office.database.read_by_key(
        "SELECT kind, data FROM received_files WHERE merchant_id = $1 AND number = $2 AND digest = $3",
        one.merchant_id, one.number, digest[:64],
    )  # fmt: skip
    if row is None:
        raise refuse("RECEIVED-NOT-FOUND")
    return row[0], bytes(row[1])
