"""Requests for a 换开 on disk: the one place that writes them. Each change names the states that it may come from, so
that of two who act at once the second changes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.parties import Buyer
from piaoma.invoice.red_form import Side
from piaoma.invoice.refusal import Refusal, refuse
from piaoma.store import Also, Row, Transaction, milliseconds, write_block

from .events import Actor, telling
from .records import Invoice

if TYPE_CHECKING:
    from .office import Office

REISSUES_DUE_MAX = 32  # gone on with in one turn
FIRST_TURN_SECONDS = 10  # the request itself goes on at once; when that does not end it, the worker does


class ReissueState(StrEnum):
    """Where a 换开 stands."""

    ASKED = "asked"  # 待商家同意
    WORKING = "working"  # 换开中
    CONFIRMING = "confirming"  # 待购方确认
    RED = "red"  # 已红冲待重开
    DONE = "done"  # 已换开
    DECLINED = "declined"  # 商家未同意
    FAILED = "failed"  # 未换开: nothing was changed


class Reissue(msgspec.Struct, frozen=True):
    """A request. ``red_number`` is there once the old invoice is red, ``new_number`` once it is done. Times aware."""

    merchant_id: int
    reissue_id: str
    blue_number: str
    code_id: int | None
    started_by: str
    made_by: str
    buyer: Buyer
    email: str
    state: ReissueState
    red_number: str | None
    new_number: str | None
    refusals: tuple[Refusal, ...]
    attempts: int
    created_at: datetime
    changed_at: datetime
    next_at: datetime | None

    @property
    def under_way(self) -> bool:
        """Whether something may still come of it."""
        return self.state in (ReissueState.ASKED, ReissueState.WORKING, ReissueState.CONFIRMING, ReissueState.RED)


_COLUMNS = """merchant_id, reissue_id, blue_number, code_id, started_by, made_by, buyer, email, state, red_number,
              new_number, refusal, attempts, created_at_ms, changed_at_ms, next_at_ms"""
_SELECT = f"SELECT {_COLUMNS} FROM reissues "  # noqa: S608


def _reissue(office: Office, row: Row) -> Reissue:
    zone = office.now().tzinfo

    def moment(ms: int) -> datetime:
        return datetime.fromtimestamp(ms / 1000, zone)

    return Reissue(
        row[0], row[1], row[2], row[3], row[4], row[5], msgspec.json.decode(row[6], type=Buyer), row[7],
        ReissueState(row[8]), row[9], row[10],
        msgspec.json.decode(row[11], type=tuple[Refusal, ...]) if row[11] else (), row[12], moment(row[13]),
        moment(row[14]), moment(row[15]) if row[15] else None,
    )  # fmt: skip


async def find_reissue(office: Office, merchant_id: int, reissue_id: str) -> Reissue | None:
    """A request by its id."""
    row = await office.database.read_by_key(
        _SELECT + "WHERE merchant_id = $1 AND reissue_id = $2", merchant_id, reissue_id
    )
    return None if row is None else _reissue(office, row)


async def latest_reissue(office: Office, merchant_id: int, number: str) -> Reissue | None:
    """The last request about an invoice, whatever became of it."""
    rows = await office.database.read(
        _SELECT + "WHERE merchant_id = $1 AND blue_number = $2 ORDER BY created_at_ms DESC LIMIT 1", merchant_id, number
    )
    return _reissue(office, rows[0]) if rows else None


async def list_reissues(office: Office, merchant_id: int, count: int) -> list[Reissue]:
    """The newest requests; those that wait for somebody stand first."""
    rows = await office.database.read(
        _SELECT + "WHERE merchant_id = $1 ORDER BY CASE state WHEN 'red' THEN 0 WHEN 'asked' THEN 1 WHEN 'confirming'"
        " THEN 2 WHEN 'working' THEN 2 ELSE 3 END, created_at_ms DESC LIMIT $2",
        merchant_id, count,
    )  # fmt: skip
    return [_reissue(office, row) for row in rows]


async def asked_before(office: Office, merchant_id: int, code_id: int) -> int:
    """How often the customer of a code asked. What came to nothing by itself does not count."""
    rows = await office.database.read(
        "SELECT count(*) FROM reissues WHERE merchant_id = $1 AND code_id = $2 AND state <> 'failed'",
        merchant_id, code_id,
    )  # fmt: skip
    return int(rows[0][0])


async def due_reissues(office: Office) -> list[Reissue]:
    """What must be gone on with now."""
    rows = await office.database.read(
        _SELECT + "WHERE next_at_ms <= $1 ORDER BY next_at_ms LIMIT $2", milliseconds(office.now()), REISSUES_DUE_MAX
    )
    return [_reissue(office, row) for row in rows]


_LOCK = "SELECT t.taken_fen FROM invoices t WHERE merchant_id = $1 AND number = $2 {for_update}"
_INSERT = """
INSERT INTO reissues (merchant_id, reissue_id, blue_number, code_id, started_by, made_by, buyer, email, state,
                      created_at_ms, changed_at_ms, next_at_ms)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $10, $11)
"""
_OPEN = """
SELECT 1 FROM reissues WHERE merchant_id = $1 AND blue_number = $2 AND state NOT IN ('declined', 'failed')
"""


async def add_reissue(
    office: Office, old: Invoice, buyer: Buyer, *, reissue_id: str, by: Side, made_by: str, code_id: int | None,
    email: str, state: ReissueState, also: Also | None = None,
) -> Reissue:  # fmt: skip
    """Store a request. The same id gives the one that is there; of two for one invoice the second is refused with
    REISSUE-UNDER-WAY."""
    now_ms = milliseconds(office.now())
    next_ms = now_ms + FIRST_TURN_SECONDS * 1000 if state is ReissueState.WORKING else None

    async def work(transaction: Transaction) -> None:
        lock = _LOCK.format(for_update=office.database.dialect.for_update)
        await transaction.fetch(lock, old.merchant_id, old.number)
        same = "SELECT 1 FROM reissues WHERE merchant_id = $1 AND reissue_id = $2"
        if await transaction.fetch(same, old.merchant_id, reissue_id):
            return
        if await transaction.fetch(_OPEN, old.merchant_id, old.number):
            raise refuse("REISSUE-UNDER-WAY")
        await transaction.execute(
            _INSERT, old.merchant_id, reissue_id, old.number, code_id,
            "customer" if by is Side.BUYER else "merchant", made_by, msgspec.json.encode(buyer).decode(), email,
            state.value, now_ms, next_ms,
        )  # fmt: skip
        if also is not None:
            await also(transaction)

    await write_block(office.database, work)
    found = await find_reissue(office, old.merchant_id, reissue_id)
    assert found is not None, "what was stored is there"
    return found


async def _change(
    office: Office, one: Reissue, assignments: str, states: str, *values: object, also: Also | None = None
) -> bool:
    async with office.database.write() as transaction:
        changed = await transaction.execute(
            f"UPDATE reissues SET {assignments}, changed_at_ms = $3"  # noqa: S608 - our own phrases
            f" WHERE merchant_id = $1 AND reissue_id = $2 AND state IN ({states})",
            one.merchant_id, one.reissue_id, milliseconds(office.now()), *values,
        )  # fmt: skip
        if changed and also is not None:
            await also(transaction)
    return bool(changed)


async def decide_asked(office: Office, one: Reissue, state: ReissueState, by: Actor) -> bool:
    """The shop agreed (``WORKING``) or not (``DECLINED``). False when that was decided before."""
    next_ms = None
    if state is ReissueState.WORKING:
        next_ms = milliseconds(office.now() + timedelta(seconds=FIRST_TURN_SECONDS))
    email = one.email if state is ReissueState.WORKING else ""
    act = "approve" if state is ReissueState.WORKING else "decline"
    return await _change(
        office, one, "state = $4, made_by = $5, next_at_ms = $6, email = $7", "'asked'", state.value, by.name, next_ms,
        email, also=telling(office, by, "reissue.act", one.blue_number, after={"act": act}),
    )  # fmt: skip


async def set_red(office: Office, one: Reissue, red_number: str) -> None:
    """The old invoice is red: 已红冲待重开, until the new one is there."""
    await _change(
        office, one, "state = 'red', red_number = $4, attempts = 0, next_at_ms = $5", "'working', 'confirming'",
        red_number, milliseconds(office.now()),
    )  # fmt: skip


async def set_done(office: Office, one: Reissue, new_number: str) -> None:
    """The new invoice is there; the address is not kept."""
    await _change(
        office,
        one,
        "state = 'done', new_number = $4, refusal = NULL, email = '', next_at_ms = NULL",
        "'red'",
        new_number,
    )


async def set_failed(office: Office, one: Reissue, refusals: Sequence[Refusal]) -> None:
    """Nothing was changed, and why."""
    told = msgspec.json.encode(list(refusals)).decode()
    await _change(
        office, one, "state = 'failed', refusal = $4, email = '', next_at_ms = NULL", "'working', 'confirming'", told
    )


async def note_refusal(office: Office, one: Reissue, refusals: Sequence[Refusal]) -> None:
    """Why the new invoice did not come at the last try; none while its outcome is open."""
    told = msgspec.json.encode(list(refusals)).decode() if refusals else None
    await _change(office, one, "refusal = $4", "'red'", told)


async def retry_now(office: Office, one: Reissue, by: Actor) -> None:
    """Somebody wants it to be tried at once."""
    told = telling(office, by, "reissue.act", one.blue_number, after={"act": "retry"})
    await _change(
        office, one, "next_at_ms = $4", "'working', 'confirming', 'red'", milliseconds(office.now()), also=told
    )


async def wait(office: Office, one: Reissue, seconds: int, state: ReissueState | None = None) -> None:
    """Go on later."""
    async with office.database.write() as transaction:
        await transaction.execute(
            "UPDATE reissues SET state = CASE WHEN state = 'working' THEN $4 ELSE state END, attempts = attempts + 1,"
            " next_at_ms = $3"
            " WHERE merchant_id = $1 AND reissue_id = $2 AND state IN ('working', 'confirming', 'red')",
            one.merchant_id, one.reissue_id, milliseconds(office.now() + timedelta(seconds=seconds)),
            (state or ReissueState.WORKING).value,
        )  # fmt: skip
