"""Filling the form of the issuing page: from an earlier invoice or code, an item of the list, a buyer of the book."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from piaoma.desk import goods
from piaoma.desk.codes import Offer
from piaoma.invoice import rates
from piaoma.invoice.draft import Line, LineKind, Pricing, ZeroKind
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.parties import Buyer, Party

from .code_form import ROWS_MAX, rows_of

BUYER_PARTS = ("address", "phone", "bank", "account")


def form_of_offer(offer: Offer) -> dict[str, str]:
    """The form that makes this offer."""
    form = {
        "kind": offer.kind.value, "pricing": offer.pricing.value, "remark": offer.remark, "drawer": offer.drawer,
        "own_number": offer.own_number, "seller_bank": {True: "yes", False: "no", None: ""}[offer.seller_bank],
    }  # fmt: skip
    if offer.buyer_bank:
        form["buyer_bank_print"] = "1"
    if offer.buyer is not None:
        form |= form_of_buyer(offer.buyer)
    return form | form_of_lines(offer.lines)


def form_of_invoice(invoice: IssuedInvoice) -> dict[str, str]:
    """再开一张: the same buyer, goods and figures as an invoice. Its figures are tax-exclusive, so the form's are too;
    what was printed in the remark of itself comes again by itself."""
    lines = [
        Line(
            line.name.rpartition("*")[2], line.code, line.rate, line.amount, line.quantity, line.unit_price, line.unit,
            line.spec, line.kind, line.preference, line.zero,
        )
        for line in invoice.lines
    ]  # fmt: skip
    form = {"kind": invoice.kind.value, "pricing": Pricing.EXCLUSIVE.value, **form_of_buyer(invoice.buyer)}
    return form | form_of_lines(lines)


def form_of_buyer(buyer: Buyer | Party) -> dict[str, str]:
    """The fields of a title."""
    form = {f"buyer_{part}": getattr(buyer, part) for part in BUYER_PARTS}
    form |= {"buyer_name": buyer.name, "buyer_id": buyer.taxpayer_id}
    if isinstance(buyer, Buyer) and buyer.natural_person:
        form["buyer_person"] = "1"
    return form


def form_of_lines(lines: Iterable[Line]) -> dict[str, str]:
    """The rows of lines; a discount stands in the row of its item."""
    form: dict[str, str] = {}
    row = 0
    for line in lines:
        if line.kind is LineKind.DISCOUNT:
            form[f"discount{row}"] = f"{-line.amount:f}"
            continue
        row += 1
        if row > ROWS_MAX:
            break
        rate, mark = _rate(line.rate, line.zero, line.preference)
        form |= {
            f"name{row}": line.name, f"code{row}": line.code, f"spec{row}": line.spec, f"unit{row}": line.unit,
            f"rate{row}": rate,
            f"amount{row}": f"{line.amount:f}", f"quantity{row}": _figure(line.quantity),
            f"price{row}": _figure(line.unit_price), f"preference{row}": mark,
        }  # fmt: skip
    form["rows"] = str(row)
    form["goods1"] = "other"
    return form


def _rate(rate: Decimal, zero: ZeroKind, preference: str) -> tuple[str, str]:
    """The choice of a rate, and the mark that stands in a field of its own because it leaves the rate free."""
    own = preference if zero is not ZeroKind.NOT_ZERO or rates.PREFERENCES.get(preference, ("", ()))[1] else ""
    shown = f"{rate}|{zero.value}|{own}" if zero.value or own else str(rate)
    return shown, "" if own else preference


def rate_choice(item: goods.GoodsForm) -> str:
    """The choice that an item of the list stands for."""
    return _rate(item.rate, item.zero, item.preference)[0]


def _figure(figure: Decimal | None) -> str:
    return "" if figure is None else f"{figure:f}"


def add_item(form: dict[str, str], item: goods.Goods) -> int:
    """Put an item into the form, as a barcode scanner does: once more where it stands already, else in the first row
    that is free; the row. 0 when none is."""
    free = 0
    for row in range(1, ROWS_MAX + 1):
        if form.get(f"name{row}") == item.name:
            count = form.get(f"quantity{row}", "")
            form[f"quantity{row}"] = str(int(count) + 1) if count.isascii() and count.isdigit() else "2"
            form[f"amount{row}"] = ""
            return row
        if not free and not any(form.get(f"{key}{row}") for key in ("name", "amount", "quantity", "price")):
            free = row
    if free:
        rate, mark = _rate(item.rate, item.zero, item.preference)
        priced = item.price is not None and form.get("pricing") != Pricing.EXCLUSIVE.value  # the list's includes tax
        form |= {
            f"name{free}": item.name, f"code{free}": item.code, f"rate{free}": rate, f"preference{free}": mark,
            f"unit{free}": item.unit, f"spec{free}": item.spec, f"quantity{free}": "1",
            f"price{free}": f"{item.price:f}" if priced else "",
        }  # fmt: skip
        form["goods1"] = "other"
        form["rows"] = str(max(rows_of(form), free))
    return free
