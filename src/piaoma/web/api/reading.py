"""From what a program sends to what the desk understands. What is not said is filled in as for a person at a till."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from piaoma import wire
from piaoma.desk import goods
from piaoma.desk.codes import OWN_NUMBER_MAX, Offer
from piaoma.desk.goods import Goods, GoodsForm
from piaoma.desk.merchant import Merchant
from piaoma.desk.office import Office
from piaoma.invoice import lines as line_arithmetic
from piaoma.invoice import taxpayer_id
from piaoma.invoice.draft import InvoiceKind, Line, LineKind, Pricing, ZeroKind
from piaoma.invoice.parties import Buyer
from piaoma.invoice.red_form import RedReason
from piaoma.invoice.refusal import Refusal, Refused, refuse, refuse_all
from piaoma.invoice.rules import text

from .operation import Call

KINDS = {"general": InvoiceKind.GENERAL, "special": InvoiceKind.SPECIAL}
LINE_KINDS = {"plain": LineKind.PLAIN, "discount": LineKind.DISCOUNT, "discounted": LineKind.DISCOUNTED}
REASONS = {
    "wrong": RedReason.WRONG, "returned": RedReason.RETURNED, "stopped": RedReason.STOPPED, "rebate": RedReason.REBATE,
}  # fmt: skip


def buyer_of(sent: wire.Buyer) -> Buyer:
    """A title."""
    fields = msgspec.structs.asdict(sent)
    return Buyer(**{**fields, "taxpayer_id": taxpayer_id.normalise(sent.taxpayer_id)})


async def offer_of(call: Call, shop: Merchant) -> Offer:
    """What a code offers, or an order is to be invoiced with. Raises ``Refused`` with every fault of its lines."""
    sent: wire.NewCode | wire.NewInvoice = call.body
    if sent.own_number:
        refuse_all(text.check(sent.own_number, "own_number", OWN_NUMBER_MAX))
    lines = await _lines(call.office, shop, sent.lines)
    offer = Offer(
        KINDS[sent.kind], lines, Pricing(sent.pricing), remark=sent.remark.strip(),
        buyer=None if sent.buyer is None else buyer_of(sent.buyer), own_number=sent.own_number.strip(),
    )  # fmt: skip
    if isinstance(sent, wire.NewCode):
        return offer
    printed = True if sent.print_seller_bank else None  # None: as the kind wants it
    return msgspec.structs.replace(offer, seller_bank=printed, buyer_bank=sent.print_buyer_bank)


async def _lines(office: Office, shop: Merchant, sent: list[wire.Line]) -> tuple[Line, ...]:
    stock: dict[str, Goods] = {}
    if any(one.goods_id for one in sent):
        stock = {str(item.goods_id): item for item in await goods.list_goods(office, shop.merchant_id)}
    faults: list[Refusal] = []
    lines: list[Line] = []
    for place, one in enumerate(sent):
        try:
            lines.append(_line(office, shop, one, f"lines[{place}]", stock))
        except Refused as refused:
            faults += refused.refusals
    refuse_all(faults)
    return tuple(lines)


def _line(office: Office, shop: Merchant, sent: wire.Line, field: str, stock: dict[str, Goods]) -> Line:
    item = None
    if sent.goods_id is not None and (item := stock.get(sent.goods_id)) is None:
        raise refuse("GOODS-NOT-FOUND", f"{field}.goods_id")
    code = sent.code or (item.code if item else "")
    amount, quantity, price = _figures(sent, item)
    if amount is None:
        raise refuse("AMOUNT-EMPTY", f"{field}.amount")
    rate = _rate(office, shop, sent, item, code, f"{field}.rate")
    if quantity is None or price is None:
        quantity = price = None
    zero = ZeroKind(sent.zero) if sent.zero is not None else item.zero if item else None
    return Line(
        name=sent.name or (item.name if item else ""), code=code, rate=rate, amount=amount, quantity=quantity,
        unit_price=price, unit=(sent.unit or (item.unit if item else "")) if quantity is not None else "",
        spec=sent.spec or (item.spec if item else ""), kind=LINE_KINDS[sent.kind],
        preference=sent.preference or (item.preference if item else ""),
        zero=(ZeroKind.NOT_ZERO if rate else ZeroKind.ORDINARY) if zero is None else zero,
    )  # fmt: skip


def _figures(sent: wire.Line, item: Goods | None) -> tuple[Decimal | None, Decimal | None, Decimal | None]:
    """Amount, quantity and unit price. Two of them give the third; the item's price stands in for one not said."""
    given = {name: Decimal(text) for name in ("amount", "quantity", "unit_price")
             if (text := getattr(sent, name)) is not None}  # fmt: skip
    if item and item.price is not None and "amount" not in given and "unit_price" not in given:
        given["unit_price"] = item.price
        given.setdefault("quantity", Decimal(1))
    if any(not given[name] for name in ("quantity", "unit_price") if name in given):
        return given.get("amount"), given.get("quantity"), given.get("unit_price")
    return line_arithmetic.complete(given.get("amount"), given.get("quantity"), given.get("unit_price"))


def _rate(office: Office, shop: Merchant, sent: wire.Line, item: Goods | None, code: str, field: str) -> Decimal:
    if sent.rate is not None:
        return Decimal(sent.rate)
    if item is not None and item.code == code:
        return item.rate
    usual = goods.usual_rate(office, shop, code)
    if usual is None:
        raise refuse("RATE-UNKNOWN", field, have="")
    return usual


def goods_form_of(sent: wire.NewGoods) -> GoodsForm:
    """An item of the list."""
    return GoodsForm(
        name=sent.name, code=sent.code, rate=Decimal(sent.rate),
        price=None if sent.price is None else Decimal(sent.price), unit=sent.unit, spec=sent.spec,
        zero=ZeroKind(sent.zero), preference=sent.preference,
    )  # fmt: skip
