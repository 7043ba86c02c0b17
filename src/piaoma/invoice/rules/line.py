"""Rules about one line (项目行)."""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from .. import rates
from ..draft import Draft, InvoiceKind, Line, LineKind, ZeroKind
from ..lines import CHARACTERS_MAX, DECIMALS_MAX, PRODUCT_TOLERANCE
from ..money import AMOUNT_MAX, WIDE, border_fault, is_bounded, round_fen
from ..refusal import Refusal
from . import text

if TYPE_CHECKING:
    from . import Catalogue


def check(line: Line, place: int, draft: Draft, on: date, catalogue: Catalogue) -> list[Refusal]:
    """Refusals about the line at ``place`` (from 0)."""
    path = f"lines[{place}]"
    refusals = text.check(line.name, f"{path}.name", text.ITEM_MAX, required=True)
    if line.spec:
        refusals += text.check(line.spec, f"{path}.spec", text.SPEC_MAX)
    if line.unit:
        refusals += text.check(line.unit, f"{path}.unit", text.UNIT_MAX)
    amount_fault = _amount(line, path)
    refusals += amount_fault
    refusals += _quantity(line, path, amount_known=not amount_fault)
    known = is_bounded(line.rate) and not line.rate.is_signed() and rates.is_known(line.rate)
    refusals += _rate(line, path, draft, on) if known else [_unknown_rate(line, path)]
    refusals += _code(line, path, draft, on, catalogue, rate_known=known)
    if draft.kind is InvoiceKind.SPECIAL and line.zero in (ZeroKind.EXEMPT, ZeroKind.UNTAXED):
        # VAT Law regulation art. 37 [L]; an exempt sale has no tax that a buyer could deduct.
        refusals.append(Refusal("SPECIAL-EXEMPT", f"{path}.zero"))
    return refusals


def _amount(line: Line, path: str) -> list[Refusal]:
    amount = line.amount
    field = f"{path}.amount"
    if fault := border_fault(amount, field):
        return [fault]
    if line.kind is LineKind.DISCOUNT:
        if amount >= 0:
            return [Refusal("DISCOUNT-NOT-NEGATIVE", field)]
    elif amount <= 0:
        return [Refusal("AMOUNT-NOT-POSITIVE", field, {"have": f"{amount:f}"[:40]})]
    if abs(amount) > AMOUNT_MAX:
        return [Refusal("AMOUNT-TOO-LARGE", field, {"have": f"{amount:.2E}"})]
    if amount != round_fen(amount):
        return [Refusal("AMOUNT-DECIMALS", field, {"have": f"{amount:f}"[:40]})]
    return []


def _quantity(line: Line, path: str, *, amount_known: bool) -> list[Refusal]:
    quantity, price = line.quantity, line.unit_price
    if line.kind is LineKind.DISCOUNT:
        if quantity is not None or price is not None:
            return [Refusal("DISCOUNT-QUANTITY", f"{path}.quantity")]
        return []
    if quantity is None and price is None:
        return [Refusal("LINE-UNIT-NEEDS-QUANTITY", f"{path}.unit")] if line.unit else []
    if quantity is None or price is None:
        missing = "quantity" if quantity is None else "unit_price"
        return [Refusal("LINE-QUANTITY-AND-PRICE", f"{path}.{missing}")]
    refusals = _figure(quantity, f"{path}.quantity") + _figure(price, f"{path}.unit_price")
    if not refusals and amount_known:
        product = WIDE.multiply(price, quantity)
        if abs(WIDE.subtract(product, line.amount)) > PRODUCT_TOLERANCE:
            values = {"product": f"{product:.4f}", "amount": f"{line.amount:.2f}"}
            refusals.append(Refusal("LINE-PRODUCT", f"{path}.amount", values))
    return refusals


def _figure(value: Decimal, field: str) -> list[Refusal]:
    """A quantity or unit price: finite, positive, at most 13 decimals and 17 characters."""
    if not value.is_finite():
        return [Refusal("AMOUNT-NOT-A-NUMBER", field, {"have": str(value)[:40]})]
    if not is_bounded(value):
        return [Refusal("LINE-FIGURE-TOO-LONG", field, {"max": str(CHARACTERS_MAX)})]
    if value <= 0:
        return [Refusal("AMOUNT-NOT-POSITIVE", field, {"have": f"{value:.4E}"})]
    written = f"{value:f}"
    decimals = written.partition(".")[2].rstrip("0")
    if len(decimals) > DECIMALS_MAX:
        return [Refusal("LINE-FIGURE-DECIMALS", field, {"have": str(len(decimals)), "max": str(DECIMALS_MAX)})]
    if len(written.partition(".")[0]) + (len(decimals) + 1 if decimals else 0) > CHARACTERS_MAX:
        return [Refusal("LINE-FIGURE-TOO-LONG", field, {"max": str(CHARACTERS_MAX)})]
    return []


def _unknown_rate(line: Line, path: str) -> Refusal:
    """A rate that nobody has; minus nothing is one."""
    return Refusal("RATE-UNKNOWN", f"{path}.rate", {"have": str(line.rate)[:20]})


def _rate(line: Line, path: str, draft: Draft, on: date) -> list[Refusal]:
    """Whether a known rate agrees with mark and zero kind, and is open to this seller on this day."""
    field = f"{path}.rate"
    shown = rates.printed(line.rate)
    refusals = []
    if (line.rate == 0) != (line.zero is not ZeroKind.NOT_ZERO):
        refusals.append(Refusal("RATE-ZERO-KIND", f"{path}.zero", {"rate": shown}))
    if line.preference:
        mark = rates.PREFERENCES.get(line.preference)
        if mark is None:
            refusals.append(Refusal("PREFERENCE-UNKNOWN", f"{path}.preference", {"have": line.preference[:8]}))
        elif mark[1] and line.rate not in mark[1]:
            values = {"mark": mark[0], "rate": shown}
            refusals.append(Refusal("PREFERENCE-RATE", f"{path}.preference", values))
    wanted = rates.ZERO_OF_PREFERENCE.get(line.preference, ZeroKind.NOT_ZERO)
    if {wanted, line.zero} & {ZeroKind.EXEMPT, ZeroKind.UNTAXED} and wanted is not line.zero:
        refusals.append(Refusal("PREFERENCE-ZERO-KIND", f"{path}.preference"))
    if not refusals:
        refusals += _rate_of_seller(line, field, shown, draft, on)
    return refusals


def _rate_of_seller(line: Line, field: str, shown: str, draft: Draft, on: date) -> list[Refusal]:
    if rates.is_small_scale(draft.seller.taxpayer_kind):
        levy = rates.small_scale_levy(on)
        if line.rate in (rates.LEVY_3, rates.LEVY_1) and line.rate != levy:
            return [Refusal("RATE-LEVY-OF-DAY", field, {"rate": shown, "levy": rates.printed(levy)})]
        if line.rate not in (levy, rates.ZERO) and line.preference not in ("09", "10"):
            return [Refusal("RATE-SMALL-SCALE", field, {"rate": shown, "levy": rates.printed(levy)})]
    elif line.rate not in rates.GENERAL_RATES and line.preference not in ("01", "08", "09", "10"):
        return [Refusal("RATE-LEVY-NEEDS-MARK", field, {"rate": shown})]
    return []


def _code(line: Line, path: str, draft: Draft, on: date, catalogue: Catalogue, *, rate_known: bool) -> list[Refusal]:
    """Whether the classification code exists, may be invoiced, and goes with the rate."""
    field = f"{path}.code"
    if len(line.code) != 19 or not (line.code.isascii() and line.code.isdigit()):
        return [Refusal("LINE-CODE-FORM", field, {"have": str(len(line.code))})]
    entry = catalogue.lookup(line.code, on)
    if entry is None:
        return [Refusal("LINE-CODE-UNKNOWN", field, {"code": line.code})]
    if not entry.leaf:
        return [Refusal("LINE-CODE-SUMMARY", field, {"code": line.code})]
    general = rate_known and not rates.is_small_scale(draft.seller.taxpayer_kind)
    if general and line.rate != 0 and line.rate in rates.GENERAL_RATES and entry.rates and line.rate not in entry.rates:
        usual = "、".join(rates.printed(rate) for rate in entry.rates)
        values = {"rate": rates.printed(line.rate), "usual": usual, "name": entry.short_name}
        return [Refusal("LINE-RATE-FOR-CODE", f"{path}.rate", values)]
    return []
