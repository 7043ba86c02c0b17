"""The merchant's own list of goods (商品库), last used first."""

from __future__ import annotations

import secrets
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice import rates
from piaoma.invoice.draft import Draft, InvoiceKind, Line, ZeroKind
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, refuse, refuse_all
from piaoma.invoice.rules import line as line_rules
from piaoma.store import Row, milliseconds

from .events import Actor, record
from .merchant import Merchant

if TYPE_CHECKING:
    from .office import Office

LIST_MAX = 200


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


class Goods(GoodsForm, frozen=True):
    """An item of the list."""

    goods_id: int = 0


_COLUMNS = "goods_id, name, code, rate, price, unit, spec, zero, preference"


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
        goods_id=row["goods_id"],
    )


async def list_goods(office: Office, merchant_id: int) -> list[Goods]:
    """All items, last used first."""
    rows = await office.database.read(
        f"SELECT {_COLUMNS} FROM goods WHERE merchant_id = $1 ORDER BY used_at_ms DESC, goods_id LIMIT $2",  # noqa: S608
        merchant_id, LIST_MAX,
    )  # fmt: skip
    return [_goods(row) for row in rows]


async def save_goods(
    office: Office, merchant: Merchant, form: GoodsForm, by: Actor, goods_id: int | None = None
) -> Goods:
    """Add an item, or change one. The same rules as for a line decide. Raises ``Refused``, GOODS-NOT-FOUND."""
    refuse_all(_faults(office, merchant, form))
    now_ms = milliseconds(office.now())
    values = (
        form.name.strip(), form.code, str(form.rate), None if form.price is None else str(form.price), form.unit,
        form.spec, form.zero.value, form.preference, now_ms,
    )  # fmt: skip
    async with office.database.write() as transaction:
        if goods_id is None:
            goods_id = secrets.randbits(40)
            await transaction.execute(
                "INSERT INTO goods (merchant_id, goods_id, name, code, rate, price, unit, spec, zero, preference,"
                " used_at_ms) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)",
                merchant.merchant_id, goods_id, *values,
            )  # fmt: skip
        elif not await transaction.execute(
            "UPDATE goods SET name = $3, code = $4, rate = $5, price = $6, unit = $7, spec = $8, zero = $9,"
            " preference = $10, used_at_ms = $11 WHERE merchant_id = $1 AND goods_id = $2",
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
    faults = line_rules.check(one, 0, draft, office.now().date(), office.catalogue)
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
