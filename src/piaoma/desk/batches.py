"""Batches (批量开票): a sheet of sales is checked whole, then issued row by row, each under a key of its own.

A row is issued by the one write path with a key made of its order number, so a sheet that is sent again, a server that
dies in the middle and two processes at one batch give no invoice twice. Who takes a batch up says so by its beat; a
batch whose beat has stopped is taken up by the next.
"""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec
import structlog

from piaoma.documents.sheet_reading import SHEET_SECONDS_MAX, read_sheet
from piaoma.documents.workers import WorkerFailed
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.money import from_fen
from piaoma.invoice.refusal import Refusal, Refused, refuse
from piaoma.store import IssueState, Origin, Row, WriteConflict, milliseconds

from .codes import Offer
from .events import Actor, note, record
from .issue import issue
from .merchant import Merchant, merchant
from .mint import covered, draft_of, mint
from .share import send_code
from .sheet_of_sales import Sale, read_sales
from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

BATCHES_SHOWN = 20
BATCH_ROWS_SHOWN = 200  # of each state on the page; the files have all
TOGETHER_MAX = 32  # rows that are issued at the same time
BATCH_TURN_SECONDS = 0.5  # between two looks for batches that run
BEAT_SECONDS_MAX = 20  # a batch that told nothing for so long died with its process

_log = structlog.get_logger("piaoma.batches")


class Batch(msgspec.Struct, frozen=True):
    """A sheet: checked 已核对, running 开票中, done 已完成 or stopped 已停止. ``counts`` is by the state of rows."""

    batch_id: str
    file_name: str
    mode: str
    state: str
    made_by: str
    created_at: datetime
    counts: dict[str, int]
    total: Decimal  # yuan, of the rows that are or will be issued

    @property
    def rows(self) -> int:
        return sum(self.counts.values())

    @property
    def handled(self) -> int:
        """Rows that no longer wait."""
        return self.rows - self.counts.get("waiting", 0)


class BatchRow(msgspec.Struct, frozen=True):
    """A sale of a sheet and what became of it."""

    place: int
    state: str
    cells: tuple[tuple[str, ...], ...]
    buyer_name: str
    total: Decimal
    email: str
    refusals: tuple[Refusal, ...]
    code_id: int | None
    number: str | None


async def check_sheet(office: Office, by: Actor, file_name: str, data: bytes, mode: str) -> str:
    """Read a sheet and look at every row; the number of the batch. Nothing is issued yet.

    Raises ``Refused`` SHEET-… when the file as a whole cannot be used; what is wrong with a row stands in the row.
    """
    shop = await merchant(office, by.merchant_id)
    try:
        sheet = await office.checkers.run(SHEET_SECONDS_MAX, read_sheet, data, file_name)
    except WorkerFailed as failed:
        raise refuse("SHEET-HOSTILE", "sheet", have=failed.reason) from None
    head, sales = await read_sales(office, shop, sheet, titled=mode == "issue")
    known = await _known(office, by.merchant_id, [sale.row_key for sale in sales])
    batch_id = secrets.token_hex(8)
    rows = [_values(by.merchant_id, batch_id, sale, known.get(sale.row_key)) for sale in sales]
    async with office.database.write() as transaction:
        await transaction.execute(
            _INSERT, by.merchant_id, batch_id, file_name[-100:], mode, by.name, by.person_id, by.shop_id, by.till_id,
            json.dumps(head), milliseconds(office.now()),
        )  # fmt: skip
        await transaction.execute_many(_INSERT_ROW, rows)
        await record(transaction, by, office.now(), "batch.make", file_name[-60:], after={"rows": len(rows)})
    return batch_id


async def _known(office: Office, merchant_id: int, keys: Sequence[str]) -> dict[str, str]:
    """What earlier batches made of the same sales: the invoice's number, or the code's."""
    statement = _KNOWN.format(keys=office.database.dialect.int_text_keys)
    rows = await office.database.read(statement, json.dumps([(merchant_id, key) for key in keys]))
    return {row[0]: row[1] or str(row[2] or "") for row in rows}


def _values(merchant_id: int, batch_id: str, sale: Sale, earlier: str | None) -> tuple[object, ...]:
    """The columns of ``_INSERT_ROW``."""
    state, faults = ("bad" if sale.faults else "waiting"), sale.faults
    if not faults and earlier is not None:
        state, faults = "twice", (Refusal("SHEET-SEEN", f"{sale.place}", {"have": earlier or "?"}),)
    offer = "" if sale.offer is None else msgspec.json.encode(sale.offer).decode()
    refusal = msgspec.json.encode(faults).decode() if faults else None
    cells = json.dumps(sale.cells, ensure_ascii=False)
    return (
        merchant_id, batch_id, sale.place, sale.row_key, state, cells, offer, sale.buyer_name[:100], sale.total_fen,
        sale.email, refusal,
    )  # fmt: skip


async def holds_special(office: Office, merchant_id: int, batch_id: str) -> bool:
    """Whether a 专票 waits in a batch: the owner may demand a second factor for it."""
    rows = await office.database.read(_WAITING_ALL, merchant_id, batch_id)
    return any(msgspec.json.decode(row["sale"], type=Offer).kind is InvoiceKind.SPECIAL for row in rows)


async def start(office: Office, by: Actor, batch_id: str) -> None:
    """Issue the rows that are right; those that were refused on the way are tried again. Pressed twice it is once.

    Raises ``Refused`` BATCH-NOT-FOUND, BATCH-NOTHING.
    """
    found = await batch(office, by.merchant_id, batch_id)
    async with office.database.write() as transaction:
        await transaction.execute(_AGAIN, by.merchant_id, batch_id)
        waiting = (await transaction.fetch(_COUNT_WAITING, by.merchant_id, batch_id))[0][0]
        if not waiting:
            raise refuse("BATCH-NOTHING")
        if await transaction.execute(_START, by.merchant_id, batch_id):
            await record(transaction, by, office.now(), "batch.start", found.file_name, after={"rows": waiting})


async def stop(office: Office, by: Actor, batch_id: str) -> None:
    """Stop after the rows that are under way. Raises ``Refused`` BATCH-NOT-FOUND."""
    found = await batch(office, by.merchant_id, batch_id)
    async with office.database.write() as transaction:
        stopped = await transaction.execute(_STOP, by.merchant_id, batch_id)
    if stopped:
        await note(office, by, "batch.stop", found.file_name)


async def keep_batches(office: Office) -> None:
    """Work at batches that run, until cancelled."""
    await take_turns(_log, BATCH_TURN_SECONDS, lambda: work_once(office))


async def work_once(office: Office) -> int:
    """Take up the batches that run and that nobody works at, and issue their rows; how many batches."""
    stale_ms = milliseconds(office.now()) - BEAT_SECONDS_MAX * 1000
    taken = 0
    for row in await office.database.read(_IDLE, stale_ms):
        async with office.database.write() as transaction:
            mine = await transaction.execute(
                _TAKE, row["merchant_id"], row["batch_id"], row["beat_at_ms"], milliseconds(office.now())
            )
        if mine:
            taken += 1
            await _work(office, row)
    return taken


async def _work(office: Office, row: Row) -> None:
    """Issue the rows of a batch, some together, until none waits or somebody stops it."""
    merchant_id, batch_id = row["merchant_id"], row["batch_id"]
    by = Actor(merchant_id, row["person_id"], row["made_by"], "", row["shop_id"], row["till_id"])
    while waiting := await office.database.read(_WAITING, merchant_id, batch_id, TOGETHER_MAX):
        shop = await merchant(office, merchant_id)
        make = _issue_row if row["mode"] == "issue" else _mint_row
        results = await asyncio.gather(*(_one(office, shop, by, sale, make) for sale in waiting))
        async with office.database.write() as transaction:
            values = [
                (merchant_id, batch_id, sale["place"], *result) for sale, result in zip(waiting, results, strict=True)
            ]
            await transaction.execute_many(_SETTLE, values)
            now_ms = milliseconds(office.now())
            if not await transaction.execute(_BEAT, merchant_id, batch_id, now_ms):
                return  # somebody stopped it
    async with office.database.write() as transaction:
        await transaction.execute(_DONE, merchant_id, batch_id)


_Result = tuple[str, str | None, int | None, str | None]  # state, refusals, code, number


async def _one(office: Office, shop: Merchant, by: Actor, row: Row, make: object) -> _Result:
    """Issue one row. Whatever goes wrong with it is told in it, and the next goes on."""
    offer = msgspec.json.decode(row["sale"], type=Offer)
    try:
        return await make(office, shop, by, row, offer)  # type: ignore[operator,no-any-return]
    except Refused as refused:
        return "refused", msgspec.json.encode(refused.refusals).decode(), None, None
    except WriteConflict:
        return "refused", msgspec.json.encode((Refusal("ISSUE-BUSY"),)).decode(), None, None


async def _issue_row(office: Office, shop: Merchant, by: Actor, row: Row, offer: Offer) -> _Result:
    assert offer.buyer is not None, "rows without a buyer were refused when the sheet was read"
    origin = Origin(by.shop_id, by.till_id, by.person_id, by.name, offer.own_number)
    outcome = await issue(
        office, shop.merchant_id, draft_of(offer, shop, offer.buyer), issue_key=key_of(row["row_key"]),
        email=row["email"], origin=origin,
    )  # fmt: skip
    if outcome.state is IssueState.REFUSED:
        return "refused", msgspec.json.encode(outcome.refusals).decode(), None, None
    return ("done" if outcome.number else "open"), None, None, outcome.number


async def _mint_row(office: Office, shop: Merchant, by: Actor, row: Row, offer: Offer) -> _Result:
    made = await mint(office, shop, offer, mint_key=key_of(row["row_key"]), by=by)
    if row["email"]:
        await send_code(office, by, made.code_id, row["email"])
    return "done", None, made.code_id, None


def key_of(row_key: str) -> str:
    """The idempotency key of a sale."""
    return f"batch:{row_key}"


async def batch(office: Office, merchant_id: int, batch_id: str) -> Batch:
    """Raises ``Refused`` BATCH-NOT-FOUND."""
    rows = await office.database.read(_ONE, merchant_id, batch_id[:40])
    if not rows:
        raise refuse("BATCH-NOT-FOUND")
    return (await _batches(office, merchant_id, rows))[0]


async def list_batches(office: Office, merchant_id: int) -> list[Batch]:
    """The newest batches."""
    return await _batches(office, merchant_id, await office.database.read(_LIST, merchant_id, BATCHES_SHOWN))


async def _batches(office: Office, merchant_id: int, rows: Sequence[Row]) -> list[Batch]:
    found = []
    for row in rows:
        counted = await office.database.read(_COUNTS, merchant_id, row["batch_id"])
        counts = {one[0]: int(one[1]) for one in counted}
        total = sum(int(one[2] or 0) for one in counted if one[0] not in ("bad", "twice"))
        created = datetime.fromtimestamp(row["created_at_ms"] / 1000, office.now().tzinfo)
        named = (row["batch_id"], row["file_name"], row["mode"], row["state"], row["made_by"])
        found.append(Batch(*named, created, counts, from_fen(total)))
    return found


async def rows_of(
    office: Office, merchant_id: int, batch_id: str, states: Sequence[str], limit: int = 1 << 31
) -> list[BatchRow]:
    """The rows in one of some states, in the order of the sheet. An outcome that was open is looked up."""
    named = ", ".join(f"'{state}'" for state in states)
    assert all(state.isalpha() for state in states), "states are words of ours"
    rows = await office.database.read(_ROWS.format(states=named), merchant_id, batch_id, limit)
    return [
        BatchRow(
            row["place"], row["state"], tuple(map(tuple, json.loads(row["cells"]))), row["buyer_name"],
            from_fen(row["total_fen"]), row["email"],
            msgspec.json.decode(row["refusal"], type=tuple[Refusal, ...]) if row["refusal"] else (), row["code_id"],
            row["number"] or row["found_number"],
        )
        for row in rows
    ]  # fmt: skip


async def head_of(office: Office, merchant_id: int, batch_id: str) -> list[str]:
    """The head of a sheet as it came."""
    rows = await office.database.read(_ONE, merchant_id, batch_id[:40])
    return [str(cell) for cell in json.loads(rows[0]["head"])] if rows else []


async def covers(office: Office, merchant_id: int, found: Batch) -> bool:
    """Whether this month's quota covers what waits, so that it is seen before anything is issued."""
    rows = await office.database.read(_WAITING_ALL, merchant_id, found.batch_id)
    shop = await merchant(office, merchant_id)
    lines = [line for row in rows for line in msgspec.json.decode(row["sale"], type=Offer).lines]
    if not lines:
        return True
    offer = msgspec.json.decode(rows[0]["sale"], type=Offer)
    try:
        await covered(office, shop, msgspec.structs.replace(offer, lines=tuple(lines)))
    except Refused as refused:
        return all(one.cause != "QUOTA-EXCEEDED" for one in refused.refusals)
    return True


_COLUMNS = "batch_id, file_name, mode, state, made_by, head, created_at_ms"
_ONE = f"SELECT {_COLUMNS} FROM batches WHERE merchant_id = $1 AND batch_id = $2"  # noqa: S608
_LIST = f"SELECT {_COLUMNS} FROM batches WHERE merchant_id = $1 ORDER BY created_at_ms DESC, batch_id LIMIT $2"  # noqa: S608
_COUNTS = """
SELECT state, count(*), CAST(sum(total_fen) AS BIGINT) FROM batch_rows WHERE merchant_id = $1 AND batch_id = $2
GROUP BY state
"""
_INSERT = """
INSERT INTO batches (merchant_id, batch_id, file_name, mode, state, made_by, person_id, shop_id, till_id, head,
                     created_at_ms) VALUES ($1, $2, $3, $4, 'checked', $5, $6, $7, $8, $9, $10)
"""
_INSERT_ROW = """
INSERT INTO batch_rows (merchant_id, batch_id, place, row_key, state, cells, sale, buyer_name, total_fen, email,
                        refusal)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""
_KNOWN = """
SELECT t.row_key, t.number, t.code_id FROM {keys} CROSS JOIN batch_rows t
WHERE t.merchant_id = k.a AND t.row_key = k.b AND t.state IN ('done', 'open')
"""
_AGAIN = """
UPDATE batch_rows SET state = 'waiting', refusal = NULL
WHERE merchant_id = $1 AND batch_id = $2 AND state = 'refused'
"""
_COUNT_WAITING = "SELECT count(*) FROM batch_rows WHERE merchant_id = $1 AND batch_id = $2 AND state = 'waiting'"
_START = """
UPDATE batches SET state = 'running', beat_at_ms = 0 WHERE merchant_id = $1 AND batch_id = $2 AND state <> 'running'
"""
_STOP = "UPDATE batches SET state = 'stopped' WHERE merchant_id = $1 AND batch_id = $2 AND state = 'running'"
_DONE = "UPDATE batches SET state = 'done' WHERE merchant_id = $1 AND batch_id = $2 AND state = 'running'"
_BEAT = "UPDATE batches SET beat_at_ms = $3 WHERE merchant_id = $1 AND batch_id = $2 AND state = 'running'"
_IDLE = """
SELECT merchant_id, batch_id, mode, made_by, person_id, shop_id, till_id, beat_at_ms FROM batches
WHERE state = 'running' AND beat_at_ms < $1 ORDER BY beat_at_ms
"""
_TAKE = """
UPDATE batches SET beat_at_ms = $4
WHERE merchant_id = $1 AND batch_id = $2 AND beat_at_ms = $3 AND state = 'running'
"""
_WAITING = """
SELECT place, row_key, sale, email FROM batch_rows
WHERE merchant_id = $1 AND batch_id = $2 AND state = 'waiting' ORDER BY place LIMIT $3
"""
_WAITING_ALL = (
    "SELECT sale FROM batch_rows WHERE merchant_id = $1 AND batch_id = $2 AND state = 'waiting' ORDER BY place"
)
_SETTLE = """
UPDATE batch_rows SET state = $4, refusal = $5, code_id = $6, number = $7
WHERE merchant_id = $1 AND batch_id = $2 AND place = $3
"""
_ROWS = """
SELECT r.place, r.state, r.cells, r.buyer_name, r.total_fen, r.email, r.refusal, r.code_id, r.number,
       s.number AS found_number
FROM batch_rows r LEFT JOIN issues s ON s.merchant_id = r.merchant_id AND s.issue_key = 'batch:' || r.row_key
WHERE r.merchant_id = $1 AND r.batch_id = $2 AND r.state IN ({states}) ORDER BY r.place LIMIT $3
"""
