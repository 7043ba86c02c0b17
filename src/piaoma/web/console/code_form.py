"""What the form of a new code says: rows of goods, kind, title, remark, read into an ``Offer``."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from decimal import Decimal, InvalidOperation

from piaoma.desk import goods, mint
from piaoma.desk.codes import Offer
from piaoma.desk.merchant import Merchant
from piaoma.desk.office import Office
from piaoma.invoice import lines as line_arithmetic
from piaoma.invoice import rates, taxpayer_id
from piaoma.invoice.draft import InvoiceKind, Line, ZeroKind
from piaoma.invoice.money import parse_amount
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, Refused, refuse, refuse_all
from piaoma.invoice.title_text import parse_title_text

ROWS = 5  # of the form; a longer invoice is issued from a file

Form = Mapping[str, str]


async def read_offer(office: Office, shop: Merchant, form: Form) -> Offer:
    """What the form offers. Raises ``Refused`` with every fault of its figures, at the field it stands in."""
    stock = await goods.list_goods(office, shop.merchant_id)
    faults: list[Refusal] = []
    lines: list[Line] = []
    for row in range(1, ROWS + 1):
        try:
            line = _line(office, shop, form, row, stock)
        except Refused as refused:
            faults += refused.refusals
        else:
            if line is not None:
                lines.append(line)
    refuse_all(faults)
    kind = InvoiceKind.SPECIAL if form.get("kind") == "01" else InvoiceKind.GENERAL
    return Offer(kind, tuple(lines), remark=form.get("remark", "").strip(), buyer=_buyer(form))


def read_days(form: Form) -> int:
    """How long the code is valid; 0, which ``mint`` refuses, when it is no number."""
    days = form.get("days", "").strip() or str(mint.DAYS_DEFAULT)
    return int(days) if days.isascii() and days.isdigit() and len(days) < 6 else 0


def _buyer(form: Form) -> Buyer | None:
    """The title that the merchant fills in, or None to leave it to the customer."""
    name, number = form.get("buyer_name", "").strip(), taxpayer_id.normalise(form.get("buyer_id", ""))
    if name or number:
        return Buyer(name, number, natural_person="buyer_person" in form)
    if form.get("buyer_block", "").strip():
        return parse_title_text(form["buyer_block"])
    return None


def _line(office: Office, shop: Merchant, form: Form, row: int, stock: list[goods.Goods]) -> Line | None:
    """One row of the form: an item of the list or a typed one, with an amount or a quantity and a price."""
    field = f"lines[{row - 1}]"
    typed = {key: form.get(f"{key}{row}", "").strip() for key in ("name", "code", "rate", "unit")}
    figures = {key: form.get(f"{key}{row}", "").strip() for key in ("amount", "quantity", "price")}
    if row > 1 and not typed["name"] and not any(figures.values()):
        return None
    item = _item(form, row, stock, typed["name"])
    amount, quantity, price = _figures(figures, item, field)
    if not typed["name"] and item is None:
        raise refuse("TEXT-EMPTY", f"{field}.name")
    code = typed["code"] or (item.code if item else "")
    rate = _rate(office, shop, typed["rate"], item, code, f"{field}.rate")
    return Line(
        name=typed["name"] or (item.name if item else ""),
        code=code,
        rate=rate,
        amount=amount,
        quantity=quantity,
        unit_price=price,
        unit=(typed["unit"] or (item.unit if item else "")) if quantity is not None else "",
        spec=item.spec if item else "",
        zero=item.zero if item else (ZeroKind.NOT_ZERO if rate else ZeroKind.ORDINARY),
        preference=item.preference if item else "",
    )


def _item(form: Form, row: int, stock: list[goods.Goods], name: str) -> goods.Goods | None:
    """The item chosen; on the first row, when nothing is said at all, the one that was used last."""
    chosen = form.get(f"goods{row}")
    for item in stock:
        if str(item.goods_id) == chosen:
            return item
    return stock[0] if stock and row == 1 and not name and not chosen else None


def _figures(figures: Form, item: goods.Goods | None, field: str) -> tuple[Decimal, Decimal | None, Decimal | None]:
    """Amount, quantity and unit price; quantity and price both or neither. Two of them give the third."""
    given = {"amount": parse_amount(figures["amount"], f"{field}.amount")} if figures["amount"] else {}
    given |= {key: read_figure(figures[key], f"{field}.{name}")
              for key, name in (("quantity", "quantity"), ("price", "unit_price")) if figures[key]}  # fmt: skip
    if item and item.price is not None and "amount" not in given and "price" not in given:
        given["price"] = item.price
        given.setdefault("quantity", Decimal(1))
    amount, quantity, price = line_arithmetic.complete(given.get("amount"), given.get("quantity"), given.get("price"))
    if amount is None:
        raise refuse("AMOUNT-EMPTY", f"{field}.amount")
    if quantity is None or price is None:
        return amount, None, None
    return amount, quantity, price


def read_figure(text: str, field: str) -> Decimal:
    """A quantity or a unit price as typed; the rules judge it further. Raises AMOUNT-NOT-A-NUMBER, -NOT-POSITIVE."""
    try:
        value = Decimal(text.replace(",", "").replace("，", ""))
    except InvalidOperation:
        raise refuse("AMOUNT-NOT-A-NUMBER", field, have=text[:20]) from None
    if not value.is_finite() or len(text) > 40 or abs(value.adjusted()) > 20:
        raise refuse("AMOUNT-NOT-A-NUMBER", field, have=text[:20])
    if value <= 0:
        raise refuse("AMOUNT-NOT-POSITIVE", field, have=text[:20])
    return value


def read_rate(text: str, field: str) -> Decimal:
    """A rate as a form sends it: ``0.06``. Raises RATE-UNKNOWN."""
    try:
        rate = Decimal(text)
    except InvalidOperation:
        raise refuse("RATE-UNKNOWN", field, have=text[:20]) from None
    if not rate.is_finite() or abs(rate.adjusted()) > 6:
        raise refuse("RATE-UNKNOWN", field, have=text[:20])
    return rate


def _rate(office: Office, shop: Merchant, typed: str, item: goods.Goods | None, code: str, field: str) -> Decimal:
    """The rate that was chosen, else the item's, else the usual one of the code: nobody at a till knows it by heart."""
    if typed:
        return read_rate(typed, field)
    if item is not None and item.code == code:
        return item.rate
    usual = goods.usual_rate(office, shop, code)
    if usual is None:
        raise refuse("RATE-UNKNOWN", field, have="")
    return usual


def rate_choices(shop: Merchant, on: date) -> list[tuple[str, str]]:
    """The rates that the seller may choose from on a day, as (value, printed)."""
    if rates.is_small_scale(shop.taxpayer_kind):
        choices = [rates.small_scale_levy(on), rates.ZERO]
    else:
        choices = list(rates.GENERAL_RATES)
    return [(str(rate), rates.printed(rate)) for rate in choices]
