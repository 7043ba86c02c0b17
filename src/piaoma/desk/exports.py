"""Exports (导出): files made from a search, in the background, one at a time for a merchant, kept for a day."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import structlog

from piaoma import index
from piaoma.documents.making import FileMaker
from piaoma.documents.sheets import Cell
from piaoma.invoice.money import from_fen
from piaoma.invoice.refusal import refuse
from piaoma.store import Row, WriteConflict, milliseconds

from .events import Actor, note, record
from .indexing import catch_up
from .turns import take_turns

if TYPE_CHECKING:
    from .office import Office

KEPT_SECONDS = 86_400
TIDY_SECONDS = 3_600  # between two looks for files that are over their day
STALE_SECONDS = 60  # an export that tells nothing for so long died with its process
TELL_SECONDS = 0.5  # between two notes of how far it is
PRINT_MAX = 500  # invoices in one PDF
EXPORTS_SHOWN = 20
KINDS = ("xlsx", "csv", "print")
TRAIL = "trail"  # the layout of a table of the audit trail
LAYOUTS = {"xlsx": ("invoice", "line"), "csv": ("invoice", "line"), "print": ("one", "two")}

_log = structlog.get_logger("piaoma.exports")


class Export(msgspec.Struct, frozen=True):
    """A file asked for. ``done`` of ``count`` invoices are in it; ``total`` in yuan once it is done."""

    export_id: str
    kind: str
    layout: str
    made_by: str
    state: str  # running, done, failed, cancelled
    done: int
    count: int
    total: Decimal
    size_bytes: int
    created_at: datetime
    expired: bool

    @property
    def file_name(self) -> str:
        """As it is saved."""
        return f"{self.created_at:%Y%m%d-%H%M%S}.{'pdf' if self.kind == 'print' else self.kind}"

    @property
    def subject(self) -> str:
        """What its name begins with."""
        return "操作记录" if self.layout == TRAIL else "发票"


class Texts(msgspec.Struct, frozen=True):
    """Words of the table in the language of whoever asks for it."""

    head: Sequence[str]
    kinds: Mapping[str, str]
    colours: Mapping[str, str]
    sum: str


async def begin(office: Office, by: Actor, wanted: index.Wanted, kind: str, layout: str, texts: Texts) -> str:
    """Begin to make a file of everything of the actor's merchant that fits; its id.

    Raises ``Refused`` EXPORT-KIND, EXPORT-NOTHING, EXPORT-RUNNING while another is made, EXPORT-TOO-MANY for a print
    of more than ``PRINT_MAX``.
    """
    merchant_id = by.merchant_id
    if layout not in LAYOUTS.get(kind, ()):
        raise refuse("EXPORT-KIND", have=f"{kind[:10]} {layout[:10]}")
    await catch_up(office)
    found = await index.select(office.database, merchant_id, wanted)
    if not found.count:
        raise refuse("EXPORT-NOTHING")
    if kind == "print" and found.count > PRINT_MAX:
        raise refuse("EXPORT-TOO-MANY", have=found.count, max=PRINT_MAX)
    order = Order(
        kind, layout, msgspec.json.encode(wanted).decode(), found.count, tuple(texts.head), texts.sum,
        _parts(office, merchant_id, kind, layout, texts, found),
    )  # fmt: skip
    return await start(office, by, order)


@dataclass(frozen=True)
class Part:
    """Rows of a table, or PDFs, of ``count`` invoices."""

    rows: list[Any]
    count: int
    total_fen: int


@dataclass(frozen=True)
class Order:
    """A file to be made, from parts that come while it is. ``search`` is kept as it is; ``count`` is expected."""

    kind: str
    layout: str
    search: str
    count: int
    head: tuple[str, ...]
    sum: str
    parts: AsyncIterator[Part]
    priced: bool = True  # whether its rows have totals


async def start(office: Office, by: Actor, order: Order) -> str:
    """Begin to make a file in the background; its id. Raises ``Refused`` EXPORT-RUNNING while another is made."""
    merchant_id = by.merchant_id
    await _bury(office, merchant_id)
    await tidy(office)
    export_id = secrets.token_hex(8)
    now_ms = milliseconds(office.now())
    try:
        async with office.database.write() as transaction:
            await transaction.execute(
                _BEGIN, merchant_id, export_id, order.kind, order.layout, order.search, by.name, order.count, now_ms
            )
            told = {"layout": order.layout, "invoices": order.count}
            await record(transaction, by, office.now(), "export.make", order.kind, after=told)
    except WriteConflict:
        raise refuse("EXPORT-RUNNING") from None
    task = asyncio.create_task(_Job(office, merchant_id, export_id, order).run(), name=f"export {export_id}")
    office.exports[(merchant_id, export_id)] = task
    task.add_done_callback(lambda _: office.exports.pop((merchant_id, export_id), None))
    return export_id


_BEGIN = """
INSERT INTO exports (merchant_id, export_id, kind, layout, search, made_by, state, invoices, created_at_ms,
                     changed_at_ms) VALUES ($1, $2, $3, $4, $5, $6, 'running', $7, $8, $8)
"""
_TELL = """
UPDATE exports SET state = $3, done = $4, invoices = $5, total_fen = $6, size_bytes = $7, changed_at_ms = $8
WHERE merchant_id = $1 AND export_id = $2 AND state = 'running'
"""
_COLUMNS = (
    "export_id, kind, layout, made_by, state, done, invoices, total_fen, size_bytes, created_at_ms, changed_at_ms"
)
_ORIGINALS = """
SELECT t.number, t.original FROM {keys} CROSS JOIN invoices t WHERE t.merchant_id = k.a AND t.number = k.b
"""


class _Job:
    """One file being made."""

    def __init__(self, office: Office, merchant_id: int, export_id: str, order: Order) -> None:
        self._office, self._merchant_id, self._export_id = office, merchant_id, export_id
        self._order = order
        self._done = self._total_fen = 0
        self._told = 0.0

    async def run(self) -> None:
        """Make it, and record what became of it."""
        path = file_of(self._office, self._merchant_id, self._export_id)
        path.parent.mkdir(mode=0o700, exist_ok=True)
        maker = FileMaker(path, self._order.kind, self._order.layout, self._order.head)
        state = "failed"
        try:
            await self._fill(maker)
            state = "done"
        except asyncio.CancelledError:
            state = "cancelled"
        except Exception as error:
            _log.warning("export", id=self._export_id, reason=f"{type(error).__name__}: {error}"[:200])
        finally:
            await asyncio.to_thread(maker.stop)
            if state != "done":
                path.unlink(missing_ok=True)
            await self._tell(state, path.stat().st_size if state == "done" else 0)

    async def _fill(self, maker: FileMaker) -> None:
        async for part in self._order.parts:
            await maker.send(part.rows)
            self._done += part.count
            self._total_fen += part.total_fen
            now = asyncio.get_running_loop().time()
            if now - self._told > TELL_SECONDS:
                self._told = now
                await self._tell("running", 0)
        last = _last_row(self._order.sum, self._done, self._total_fen)
        await maker.finish(last if self._order.priced else last[:2])

    async def _tell(self, state: str, size_bytes: int) -> None:
        """Note how far it is. Where somebody cancelled it in another process meanwhile, it ends here."""
        count = self._order.count if state == "running" else self._done
        async with self._office.database.write() as transaction:
            told = await transaction.execute(
                _TELL, self._merchant_id, self._export_id, state, self._done, count, self._total_fen, size_bytes,
                milliseconds(self._office.now()),
            )  # fmt: skip
        if not told and state == "running":
            raise asyncio.CancelledError


async def _parts(
    office: Office, merchant_id: int, kind: str, layout: str, texts: Texts, found: index.Selection
) -> AsyncIterator[Part]:
    """Issued invoices as rows, as rows with their originals, or as PDFs: of these few are held at a time."""
    async for part in index.read_parts(office.database, found):
        total_fen = sum(one.total_fen for one in part)
        if kind == "print":
            for one in part:
                yield Part([await office.view(merchant_id, one.number, "pdf")], 1, one.total_fen)
            continue
        rows: list[Any] = [_invoice_row(texts, one) for one in part]
        if layout == "line":
            originals = await _originals(office, merchant_id, part)
            rows = [(row, originals[one.number]) for row, one in zip(rows, part, strict=True)]
        yield Part(rows, len(part), total_fen)


async def _originals(office: Office, merchant_id: int, part: Sequence[index.Found]) -> dict[str, bytes]:
    keys = json.dumps([(merchant_id, one.number) for one in part])
    rows = await office.database.read(_ORIGINALS.format(keys=office.database.dialect.int_text_keys), keys)
    return {row[0]: bytes(row[1]) for row in rows}


def _invoice_row(texts: Texts, one: index.Found) -> list[Cell]:
    rates = "; ".join(
        f"{index.printed_rate(rate)} {from_fen(amount)} {from_fen(tax)}" for rate, amount, tax in one.rates
    )
    return [
        one.number, one.issued_on, one.buyer_name, one.buyer_id, "、".join(one.items.split("\n")),
        from_fen(one.amount_fen), from_fen(one.tax_fen), from_fen(one.total_fen), rates, texts.kinds[one.kind],
        texts.colours[index.RED if one.total_fen < 0 else index.BLUE], one.shop, one.clerk, one.remark,
    ]  # fmt: skip


def _last_row(label: str, count: int, total_fen: int) -> list[Cell]:
    """Every priced table has its total in the eighth column."""
    return [label, str(count), "", "", "", "", "", from_fen(total_fen)]


def file_of(office: Office, merchant_id: int, export_id: str) -> Path:
    """Where the file of an export lies. The id is one of ours, or nothing lies there."""
    return office.config.data_folder / "exports" / f"{merchant_id}-{export_id}"


async def export(office: Office, merchant_id: int, export_id: str) -> Export:
    """An export of the merchant. Raises ``Refused`` EXPORT-NOT-FOUND."""
    await _bury(office, merchant_id)
    rows = await office.database.read(
        f"SELECT {_COLUMNS} FROM exports WHERE merchant_id = $1 AND export_id = $2",  # noqa: S608
        merchant_id, export_id[:40],
    )  # fmt: skip
    if not rows:
        raise refuse("EXPORT-NOT-FOUND")
    return _export(office, merchant_id, rows[0])


async def list_exports(office: Office, merchant_id: int) -> list[Export]:
    """The newest exports."""
    await _bury(office, merchant_id)
    rows = await office.database.read(
        f"SELECT {_COLUMNS} FROM exports WHERE merchant_id = $1 ORDER BY created_at_ms DESC LIMIT $2",  # noqa: S608
        merchant_id, EXPORTS_SHOWN,
    )  # fmt: skip
    return [_export(office, merchant_id, row) for row in rows]


def _export(office: Office, merchant_id: int, row: Row) -> Export:
    created = datetime.fromtimestamp(row["created_at_ms"] / 1000, office.now().tzinfo)
    over = milliseconds(office.now()) - row["changed_at_ms"] > KEPT_SECONDS * 1000
    gone = row["state"] == "done" and (over or not file_of(office, merchant_id, row["export_id"]).exists())
    return Export(
        row["export_id"], row["kind"], row["layout"], row["made_by"], row["state"], row["done"], row["invoices"],
        from_fen(row["total_fen"]), row["size_bytes"], created, gone,
    )  # fmt: skip


async def open_file(office: Office, merchant_id: int, export_id: str) -> tuple[Export, AsyncIterator[bytes]]:
    """A finished file in pieces. Raises ``Refused`` EXPORT-NOT-FOUND, EXPORT-GONE."""
    found = await export(office, merchant_id, export_id)
    if found.state != "done" or found.expired:
        raise refuse("EXPORT-GONE")
    return found, _pieces(file_of(office, merchant_id, found.export_id))


PIECE_BYTES = 256 * 1024  # of a file that is handed out


async def _pieces(path: Path) -> AsyncIterator[bytes]:
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE_BYTES):
            yield piece


async def cancel(office: Office, by: Actor, export_id: str) -> None:
    """Stop making a file. Raises ``Refused`` EXPORT-NOT-FOUND."""
    merchant_id = by.merchant_id
    found = await export(office, merchant_id, export_id)
    if found.state == "running":
        await note(office, by, "export.cancel", found.kind)
    task = office.exports.get((merchant_id, export_id))
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return
    async with office.database.write() as transaction:  # another process makes it; it notices when it tells
        await transaction.execute(_TELL, merchant_id, export_id, "cancelled", 0, 0, 0, 0, milliseconds(office.now()))


async def _bury(office: Office, merchant_id: int) -> None:
    """Exports whose process died are failed, so that the next one may begin."""
    stale_ms = milliseconds(office.now()) - STALE_SECONDS * 1000
    if await office.database.read(_STALE, merchant_id, stale_ms):
        async with office.database.write() as transaction:
            await transaction.execute(
                "UPDATE exports SET state = 'failed' WHERE merchant_id = $1 AND state = 'running'"
                " AND changed_at_ms < $2",
                merchant_id, stale_ms,
            )  # fmt: skip


_STALE = "SELECT 1 FROM exports WHERE merchant_id = $1 AND state = 'running' AND changed_at_ms < $2"


async def keep_tidy(office: Office) -> None:
    """Let files go that are over their day, until cancelled."""
    await take_turns(_log, TIDY_SECONDS, lambda: tidy(office))


async def tidy(office: Office) -> None:
    """Files of all merchants that are over their day go."""
    folder = office.config.data_folder / "exports"
    oldest = office.now().timestamp() - KEPT_SECONDS

    def drop() -> None:
        for file in folder.glob("*-*"):
            if file.stat().st_mtime < oldest:
                file.unlink(missing_ok=True)

    await asyncio.to_thread(drop)
