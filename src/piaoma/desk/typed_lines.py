"""From what was typed to the lines and the title of a draft (项目行, 抬头): in the form of issuing, in a sheet.

An item of the list gives what is not typed; two of quantity, price and amount give the third; a discount makes a line
of its own. Every fault is raised at the field ``{field}.{part}``.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice import lines as line_arithmetic
from piaoma.invoice import taxpayer_id
from piaoma.invoice.draft import Line, LineKind, Pricing, ZeroKind
from piaoma.invoice.money import parse_amount, round_fen
from piaoma.invoice.parties import Buyer
from piaoma.invoice.refusal import Refusal, Refused, refuse, refuse_all

from .goods import Goods, usual_rate
from .merchant import Merchant

if TYPE_CHECKING:
    from .office import Office

_TITLE_PARTS = ("name", "id", "address", "phone", "bank", "account")
_FIGURES = (("amount", "amount"), ("quantity", "quantity"), ("price", "unit_price"))


def title_of(typed: Mapping[str, str], *, person: bool) -> Buyer:
    """The title (抬头) of the fields ``buyer_name``, ``buyer_id``, ``buyer_address`` and so on."""
    name, number, address, phone, bank, account = (typed.get(f"buyer_{part}", "").strip() for part in _TITLE_PARTS)
    return Buyer(name, taxpayer_id.normalise(number), address, phone, bank, account, natural_person=person)


def lines_of(
    office: Office, shop: Merchant, typed: Mapping[str, str], item: Goods | None, pricing: Pricing, field: str
) -> list[Line]:
    """The line that was typed, and the line of its discount. ``typed`` has name, code, spec, unit, rate, preference,
    amount, quantity, price and discount, each perhaps empty. Raises ``Refused`` with every fault."""
    faults: list[Refusal] = []
    if not typed["name"] and item is None:
        faults.append(Refusal("TEXT-EMPTY", f"{field}.name"))
    code = typed["code"] or (item.code if item else "")
    if not code and typed["name"]:
        faults.append(Refusal("LINE-CODE-MISSING", f"{field}.code", {"suggest": _suggested(office, typed["name"])}))
    amount, quantity, price = None, None, None
    rate, zero, preference = Decimal(0), ZeroKind.ORDINARY, ""
    try:
        if code or typed["rate"]:
            rate, zero, preference = _rate(office, shop, typed["rate"], item, code, f"{field}.rate")
    except Refused as refused:
        faults += refused.refusals
    try:
        amount, quantity, price = _figures(typed, _price_of(item, pricing, rate), field)
    except Refused as refused:
        faults += refused.refusals
    refuse_all(faults)
    assert amount is not None, "figures without an amount are refused"
    line = Line(
        name=typed["name"] or (item.name if item else ""),
        code=code,
        rate=rate,
        amount=amount,
        quantity=quantity,
        unit_price=price,
        unit=(typed["unit"] or (item.unit if item else "")) if quantity is not None else "",
        spec=typed["spec"] or (item.spec if item else ""),
        zero=zero,
        preference=typed["preference"] or preference,
    )
    if not typed["discount"]:
        return [line]
    return with_discount(line, read_discount(typed["discount"], amount, f"{field}.discount"))


def _suggested(office: Office, name: str) -> str:
    """Codes that fit a name, for a person to choose from."""
    found = office.catalogue.suggest(name, office.now().date())
    return "；".join(f"{entry.code} {entry.name}" for entry in found) or "—"


def with_discount(line: Line, discount: Decimal) -> list[Line]:
    """A line and the line that takes so many yuan off it (被折扣行, 折扣行)."""
    less = msgspec.structs.replace(
        line, amount=-discount, quantity=None, unit_price=None, unit="", spec="", kind=LineKind.DISCOUNT
    )
    return [msgspec.structs.replace(line, kind=LineKind.DISCOUNTED), less]


def read_discount(typed: str, amount: Decimal, field: str) -> Decimal:
    """What a discount takes off: ``5``, ``5.00``, or ``10%`` of the amount. Raises AMOUNT-…"""
    percent = typed.replace("％", "%").rstrip()
    if percent.endswith("%"):
        return round_fen(amount * read_figure(percent[:-1], field) / 100)
    return parse_amount(typed, field)


def _price_of(item: Goods | None, pricing: Pricing, rate: Decimal) -> Decimal | None:
    """The item's fixed price in the pricing of the form; the list keeps it tax-inclusive."""
    if item is None or item.price is None:
        return None
    return item.price if pricing is Pricing.INCLUSIVE else line_arithmetic.fit(item.price / (1 + rate))


def _figures(
    typed: Mapping[str, str], fixed: Decimal | None, field: str
) -> tuple[Decimal, Decimal | None, Decimal | None]:
    """Amount, quantity and unit price; quantity and price both or neither. Two of them give the third."""
    given: dict[str, Decimal] = {}
    faults: list[Refusal] = []
    for key, name in _FIGURES:
        if typed[key]:
            try:
                read = parse_amount if key == "amount" else read_figure
                given[key] = read(typed[key], f"{field}.{name}")
            except Refused as refused:
                faults += refused.refusals
    refuse_all(faults)
    if fixed is not None and "amount" not in given and "price" not in given:
        given["price"] = fixed
        given.setdefault("quantity", Decimal(1))
    try:
        amount, quantity, price = line_arithmetic.complete(
            given.get("amount"), given.get("quantity"), given.get("price")
        )
    except Refused as refused:
        raise Refused(*(Refusal(one.cause, f"{field}.{one.field}", one.values) for one in refused.refusals)) from None
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


def _rate(
    office: Office, shop: Merchant, typed: str, item: Goods | None, code: str, field: str
) -> tuple[Decimal, ZeroKind, str]:
    """The rate chosen, else the item's, else the usual one of the code: nobody at a till knows it by heart."""
    if not typed and item is not None and item.code == code:
        return item.rate, item.zero, item.preference
    return chosen_rate(office, shop, typed, code, field)


def chosen_rate(office: Office, shop: Merchant, typed: str, code: str, field: str) -> tuple[Decimal, ZeroKind, str]:
    """Rate, kind of zero and mark of a choice (``0.06``, ``0|exempt|03``), or the usual ones of a code when it is
    empty. Raises RATE-UNKNOWN, RATE-NOT-CLEAR."""
    if typed:
        figure, _, more = typed.partition("|")
        zero, _, preference = more.partition("|")
        rate = read_rate(figure, field)
        if zero in {kind.value for kind in ZeroKind if kind.value}:
            return rate, ZeroKind(zero), preference[:2]
        return rate, ZeroKind.NOT_ZERO if rate else ZeroKind.ORDINARY, preference[:2]
    usual = usual_rate(office, shop, code)
    if usual is None:
        raise refuse("RATE-NOT-CLEAR", field)
    return usual, ZeroKind.NOT_ZERO if usual else ZeroKind.ORDINARY, ""
