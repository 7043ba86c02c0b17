"""Records (发票记录): finding an invoice, its original, a list of those that fit."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma import index
from piaoma.invoice.draft import InvoiceKind
from piaoma.invoice.money import from_fen
from piaoma.invoice.refusal import refuse
from piaoma.store import Row

from .indexing import catch_up
from .page import Page

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50
PLACE_DIGITS_MAX = 15  # of a cursor


class Invoice(msgspec.Struct, frozen=True):
    """A row of the list. Money in yuan; ``issued_at`` aware, Asia/Shanghai; ``summary`` the first of its goods."""

    merchant_id: int
    number: str
    kind: InvoiceKind
    buyer_name: str
    buyer_id: str
    amount: Decimal
    tax: Decimal
    total: Decimal
    summary: str
    remark: str
    issued_at: datetime
    code_id: int | None
    clerk: str = ""
    shop: str = ""
    corrects: str | None = None  # of a red invoice (红字发票): the blue one
    replaces: str | None = None  # of the new one of a 换开: the old one
    taken: Decimal = Decimal(0)  # what red invoices took back of it, tax-inclusive

    @property
    def mark(self) -> str:
        """已开具, 红字, 部分红冲 or 已红冲: the name of its chip."""
        if self.corrects is not None:
            return "red"
        if not self.taken:
            return "issued"
        return "wholly_red" if self.taken == self.total else "partly_red"

    @property
    def colour(self) -> str:
        """Blue (蓝字) or red (红字)."""
        return index.RED if self.total < 0 else index.BLUE


class Found(msgspec.Struct, frozen=True):
    """A page of invoices, and count and sum over all pages.

    Where ``exact`` is false, count and sum are those of invoices that have all parts of the words typed: a few may be
    too many. ``missing`` invoices of the installation were issued and cannot be found yet.
    """

    page: Page[Invoice]
    count: int
    total: Decimal
    exact: bool = True
    missing: int = 0


_COLUMNS = """merchant_id, number, kind, buyer_name, buyer_id, amount_fen, tax_fen, total_fen, summary, remark,
              issued_at_ms, code_id, corrects, replaces, taken_fen"""


def _invoice(office: Office, row: Row) -> Invoice:
    return Invoice(
        merchant_id=row["merchant_id"],
        number=row["number"],
        kind=InvoiceKind(row["kind"]),
        buyer_name=row["buyer_name"],
        buyer_id=row["buyer_id"],
        amount=from_fen(row["amount_fen"]),
        tax=from_fen(row["tax_fen"]),
        total=from_fen(row["total_fen"]),
        summary=row["summary"],
        remark=row["remark"],
        issued_at=datetime.fromtimestamp(row["issued_at_ms"] / 1000, office.now().tzinfo),
        code_id=row["code_id"],
        corrects=row["corrects"],
        replaces=row["replaces"],
        taken=from_fen(row["taken_fen"]),
    )


async def invoice(office: Office, merchant_id: int, number: str) -> Invoice:
    """Raises ``Refused`` INVOICE-NOT-FOUND."""
    row = await office.database.read_by_key(
        f"SELECT {_COLUMNS} FROM invoices WHERE merchant_id = $1 AND number = $2",  # noqa: S608
        merchant_id, number,
    )  # fmt: skip
    if row is None:
        raise refuse("INVOICE-NOT-FOUND")
    return _invoice(office, row)


async def original(office: Office, merchant_id: int, number: str) -> bytes:
    """The signed XML as it was issued. Raises ``Refused`` INVOICE-NOT-FOUND."""
    row = await office.database.read_by_key(
        "SELECT original FROM invoices WHERE merchant_id = $1 AND number = $2", merchant_id, number
    )
    if row is None:
        raise refuse("INVOICE-NOT-FOUND")
    return bytes(row[0])


async def search_invoices(office: Office, merchant_id: int, wanted: index.Wanted, cursor: str = "") -> Found:
    """Invoices of a merchant that fit, in the order of the log, newest first, fifty a page, with count and sum over
    all. Raises ``Refused`` REQUEST-MALFORMED for a bad cursor."""
    before = _before(cursor)
    missing = await catch_up(office)
    selection = await index.select(office.database, merchant_id, wanted)
    found: list[index.Found] = []
    async for part in index.read_parts(office.database, selection, before, LIST_MAX + 1):
        found += part
        if len(found) > LIST_MAX:
            break
    shown = tuple(_invoice_of(office, merchant_id, one) for one in found[:LIST_MAX])
    onward = str(found[LIST_MAX - 1].place) if len(found) > LIST_MAX else ""
    return Found(Page(shown, onward), selection.count, from_fen(selection.total_fen), selection.exact, missing)


def _before(cursor: str) -> int | None:
    """A place in the merchant's own list, below which the page begins: whatever stands here, no other list is read."""
    if not cursor:
        return None
    if not (cursor.isascii() and cursor.isdigit() and len(cursor) <= PLACE_DIGITS_MAX):
        raise refuse("REQUEST-MALFORMED", have="cursor")
    return int(cursor)


def _invoice_of(office: Office, merchant_id: int, one: index.Found) -> Invoice:
    return Invoice(
        merchant_id=merchant_id,
        number=one.number,
        kind=InvoiceKind(one.kind),
        buyer_name=one.buyer_name,
        buyer_id=one.buyer_id,
        amount=from_fen(one.amount_fen),
        tax=from_fen(one.tax_fen),
        total=from_fen(one.total_fen),
        summary="、".join(one.items.split("\n")[:3]),
        remark=one.remark,
        issued_at=datetime.fromtimestamp(one.issued_at_ms / 1000, office.now().tzinfo),
        code_id=one.code_id,
        clerk=one.clerk,
        shop=one.shop,
        corrects=one.corrects,
        taken=from_fen(one.taken_fen),
    )


async def latest(office: Office, merchant_id: int, count: int) -> list[Invoice]:
    """The newest invoices, without counting all."""
    rows = await office.database.read(
        f"SELECT {_COLUMNS} FROM invoices WHERE merchant_id = $1 ORDER BY issued_at_ms DESC, number DESC LIMIT $2",  # noqa: S608
        merchant_id, count,
    )  # fmt: skip
    return [_invoice(office, row) for row in rows]


async def invoices_of(office: Office, keys: Sequence[tuple[int, str]]) -> list[tuple[Invoice, str]]:
    """Invoices by merchant and number, each with its shop's name, newest first; one that is not there is left out."""
    if not keys:
        return []
    statement = _INVOICES_OF.format(keys=office.database.dialect.int_text_keys)
    rows = await office.database.read(statement, json.dumps(keys))
    found = [(_invoice(office, row), str(row["shop_name"])) for row in rows]
    return sorted(found, key=lambda each: (each[0].issued_at, each[0].number), reverse=True)


_INVOICES_OF = f"""
SELECT {", ".join("t." + column.strip() for column in _COLUMNS.split(","))}, m.shop_name
FROM {{keys}} CROSS JOIN invoices t CROSS JOIN merchants m
WHERE t.merchant_id = k.a AND t.number = k.b AND m.merchant_id = t.merchant_id
"""  # noqa: S608
