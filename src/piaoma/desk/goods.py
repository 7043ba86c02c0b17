"""The merchant's own list of goods (商品库): ten thousand items, found by name, pinyin initials, code or barcode."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice import rates
from piaoma.invoice.draft import Draft, InvoiceKind, Line, ZeroKind
from piaoma.invoice.initials import initials
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.invoice.rules import line as line_rules
from piaoma.invoice.rules import text
from piaoma.store import Row, milliseconds

from .events import Actor, record
from .filters import like
from .merchant import Merchant

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 50  # of a page or of what fits
CHIPS_MAX = 8  # of those used last, offered at the till
OWN_CODE_MAX = 40  # characters of a barcode or an own code


class GoodsForm(msgspec.Struct, frozen=True):
    """What can be said of an item. ``price`` is tax-inclusive yuan, when it is always the same."""

    name: str
    code: str
    rate: Decimal
    price: Decimal | None = None
    unit: str = ""
    spec: str = ""
    zero: ZeroKind = ZeroKind.NOT_ZERO
    preference: str = ""
    own_code: str = ""  # 条码 or 自编码, as a scanner types it


class Goods(GoodsForm, frozen=True):
    """An item of the list."""

    goods_id: int = 0


_COLUMNS = "goods_id, name, code, rate, price, unit, spec, zero, preference, own_code"


def _goods(row: Row) -> Goods:
    return Goods(
        name=row["name"],
        code=row["code"],
        rate=Decimal(row["rate"]),
        price=Decimal(row["price"]) if row["price"] else None,
        unit=row["unit"],
        spec=row["spec"],
        zero=ZeroKind(row["zero"]),
        preference=row["preference"],
        own_code=row["own_code"],
        goods_id=row["goods_id"],
    )


async def list_goods(office: Office, merchant_id: int, limit: int = LIST_MAX) -> list[Goods]:
    """The items used last."""
    rows = await office.database.read(
        f"SELECT {_COLUMNS} FROM goods WHERE merchant_id = $1 ORDER BY used_at_ms DESC, goods_id LIMIT $2",  # noqa: S608
        merchant_id, limit,
    )  # fmt: skip
    return [_goods(row) for row in rows]


async def goods_of(office: Office, merchant_id: int, goods_id: int) -> Goods:
    """An item. Raises ``Refused`` GOODS-NOT-FOUND."""
    row = await office.database.read_by_key(_ONE, merchant_id, goods_id)
    if row is None:
        raise refuse("GOODS-NOT-FOUND")
    return _goods(row)


async def find_goods(office: Office, merchant_id: int, typed: str, limit: int = LIST_MAX) -> list[Goods]:
    """Items whose name, pinyin initials, classification code or own code hold what is typed; exact ones first."""
    wanted = typed.strip().lower()
    if not wanted:
        return await list_goods(office, merchant_id, limit)
    rows = await office.database.read(_FIND, merchant_id, like(wanted), wanted, limit)
    return [_goods(row) for row in rows]


async def by_own_code(office: Office, merchant_id: int, own_code: str) -> Goods | None:
    """The item of a barcode."""
    row = await office.database.read_by_key(_BY_OWN_CODE, merchant_id, own_code.strip()) if own_code.strip() else None
    return None if row is None else _goods(row)


async def by_name(office: Office, merchant_id: int, name: str) -> Goods | None:
    """The item of exactly this name, that was used last."""
    row = await office.database.read_by_key(_BY_NAME, merchant_id, name)
    return None if row is None else _goods(row)


async def all_goods(office: Office, merchant_id: int) -> list[Goods]:
    """Every item: for looking at all of them, not for a page."""
    rows = await office.database.read(f"SELECT {_COLUMNS} FROM goods WHERE merchant_id = $1", merchant_id)  # noqa: S608
    return [_goods(row) for row in rows]


async def count_goods(office: Office, merchant_id: int) -> int:
    """How many items there are."""
    return int((await office.database.read("SELECT count(*) FROM goods WHERE merchant_id = $1", merchant_id))[0][0])


_ONE = f"SELECT {_COLUMNS} FROM goods WHERE merchant_id = $1 AND goods_id = $2"  # noqa: S608
_BY_OWN_CODE = f"SELECT {_COLUMNS} FROM goods WHERE merchant_id = $1 AND own_code = $2 AND own_code <> '' LIMIT 1"  # noqa: S608
_BY_NAME = f"SELECT {_COLUMNS} FROM goods WHERE merchant_id = $1 AND name = $2 ORDER BY used_at_ms DESC LIMIT 1"  # noqa: S608
_FIND = f"""
SELECT {_COLUMNS} FROM goods WHERE merchant_id = $1 AND (lower(name) LIKE $2 ESCAPE '!' OR initials LIKE $2 ESCAPE '!'
  OR code LIKE $2 ESCAPE '!' OR lower(own_code) LIKE $2 ESCAPE '!')
ORDER BY CASE WHEN lower(own_code) = $3 OR lower(name) = $3 THEN 0 ELSE 1 END, used_at_ms DESC, goods_id LIMIT $4
"""  # noqa: S608


async def save_goods(
    office: Office, merchant: Merchant, form: GoodsForm, by: Actor, goods_id: int | None = None
) -> Goods:
    """Add an item, or change one. The same rules as for a line decide. Raises ``Refused``, GOODS-NOT-FOUND."""
    refuse_all(_faults(office, merchant, form))
    if form.own_code:
        other = await by_own_code(office, merchant.merchant_id, form.own_code)
        if other is not None and other.goods_id != goods_id:
            raise refuse("GOODS-CODE-TWICE", "own_code", have=form.own_code, name=other.name)
    now_ms = milliseconds(office.now())
    values = (
        form.name.strip(), form.code, str(form.rate), None if form.price is None else str(form.price), form.unit,
        form.spec, form.zero.value, form.preference, now_ms, initials(form.name), form.own_code,
    )  # fmt: skip
    async with office.database.write() as transaction:
        if goods_id is None:
            goods_id = secrets.randbits(40)
            await transaction.execute(
                "INSERT INTO goods (merchant_id, goods_id, name, code, rate, price, unit, spec, zero, preference,"
                " used_at_ms, initials, own_code) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13)",
                merchant.merchant_id, goods_id, *values,
            )  # fmt: skip
        elif not await transaction.execute(
            "UPDATE goods SET name = $3, code = $4, rate = $5, price = $6, unit = $7, spec = $8, zero = $9,"
            " preference = $10, used_at_ms = $11, initials = $12, own_code = $13"
            " WHERE merchant_id = $1 AND goods_id = $2",
            merchant.merchant_id, goods_id, *values,
        ):  # fmt: skip
            raise refuse("GOODS-NOT-FOUND")
        told = {"code": form.code, "rate": form.rate, "price": form.price or ""}
        await record(transaction, by, office.now(), "goods.save", form.name.strip(), after=told)
    return Goods(**msgspec.structs.asdict(form), goods_id=goods_id)


def _faults(office: Office, merchant: Merchant, form: GoodsForm) -> list[Refusal]:
    """What the rules would say of a line with this item, with the field names of the form."""
    amount = Decimal("1.00") if form.price is None else form.price
    one = Line(form.name, form.code, form.rate, amount, spec=form.spec, zero=form.zero, preference=form.preference)
    draft = Draft(InvoiceKind.GENERAL, merchant.seller, Buyer("个人", natural_person=True), (one,))
    faults = text.check(form.own_code, "own_code", OWN_CODE_MAX) if form.own_code else []
    faults += line_rules.check(one, 0, draft, office.now().date(), office.catalogue)
    return [
        Refusal(fault.cause, fault.field.removeprefix("lines[0].").replace("amount", "price"), fault.values)
        for fault in faults
    ]


def usual_rate(office: Office, merchant: Merchant, code: str) -> Decimal | None:
    """The rate that this seller uses for a code when nothing else is said; None when that is not clear."""
    today = office.now().date()
    if rates.is_small_scale(merchant.taxpayer_kind):
        return rates.small_scale_levy(today)
    entry = office.catalogue.lookup(code, today)
    return entry.rates[0] if entry is not None and len(entry.rates) == 1 else None


async def remove_goods(office: Office, by: Actor, goods_id: int) -> None:
    """Take an item off the list; invoices and codes made with it stay as they are. Raises GOODS-NOT-FOUND."""
    async with office.database.write() as transaction:
        key = (by.merchant_id, goods_id)
        found = await transaction.fetch("SELECT name FROM goods WHERE merchant_id = $1 AND goods_id = $2", *key)
        if not found:
            raise refuse("GOODS-NOT-FOUND")
        await transaction.execute("DELETE FROM goods WHERE merchant_id = $1 AND goods_id = $2", *key)
        await record(transaction, by, office.now(), "goods.remove", found[0][0])
