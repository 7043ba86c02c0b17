"""Rules about the invoice as a whole: number of lines, discounts, 差额征税, sums, remark."""

from __future__ import annotations

from decimal import Decimal

from ..draft import Difference, Draft, Line, LineKind
from ..inspect import TAX_TOLERANCE_ROUNDING, TAX_TOLERANCE_SUM
from ..lines import CHARACTERS_MAX, PRODUCT_TOLERANCE, exclusive_price, split, taxed
from ..money import AMOUNT_MAX, WIDE, border_fault, format_yuan, is_bounded, round_fen
from ..refusal import Refusal
from ..words import from_words
from . import text

LINES_MAX = 2_000  # discount lines included

# So few lines cannot drift further than the tolerance, however they round.
_STEADY_LINES = int(TAX_TOLERANCE_SUM / TAX_TOLERANCE_ROUNDING)

# To these a unit price keeps its product within half a fen when it is worked out again without tax. With 13 decimals
# the error is at most quantity × 5E-14; with fewer, because 17 characters are full, at most amount × 5E-16.
_EXACT_QUANTITY = Decimal("1E+11")
_EXACT_PRICE = Decimal("1E+15")


def check_figures(draft: Draft) -> list[Refusal]:
    """Whether the figures of the whole are figures, before anything is compared or added up. The lines' are asked
    with the lines."""
    refusals = []
    if draft.total_inclusive is not None and (fault := border_fault(draft.total_inclusive, "total_inclusive")):
        refusals.append(fault)
    if draft.difference is not None:
        deduction = draft.difference.deduction
        if not is_bounded(deduction) or deduction <= 0 or deduction != round_fen(deduction):
            refusals.append(Refusal("DIFFERENCE-DEDUCTION", "difference.deduction", {"have": str(deduction)[:40]}))
        for place, voucher in enumerate(draft.difference.vouchers):
            refusals += _voucher(voucher.amount, f"difference.vouchers[{place}].amount")
    return refusals


def _voucher(amount: Decimal, field: str) -> list[Refusal]:
    """A voucher deducts something: vouchers that cancel each other out would prove any deduction."""
    if fault := border_fault(amount, field):
        return [fault]
    if amount <= 0:
        return [Refusal("AMOUNT-NOT-POSITIVE", field, {"have": f"{amount:f}"[:40]})]
    if amount > AMOUNT_MAX:
        return [Refusal("AMOUNT-TOO-LARGE", field, {"have": f"{amount:.2E}"})]
    if amount != round_fen(amount):
        return [Refusal("AMOUNT-DECIMALS", field, {"have": f"{amount:f}"[:40]})]
    return []


def check_shape(draft: Draft) -> list[Refusal]:
    """What can be said without adding anything up."""
    refusals = text.check(draft.remark, "remark", text.REMARK_MAX)
    if not draft.lines:
        refusals.append(Refusal("LINES-NONE", "lines"))
    if len(draft.lines) > LINES_MAX:
        refusals.append(Refusal("LINES-TOO-MANY", "lines", {"have": str(len(draft.lines)), "max": str(LINES_MAX)}))
        return refusals
    if draft.difference is not None and len(draft.lines) != 1:
        refusals.append(Refusal("DIFFERENCE-ONE-LINE", "lines", {"have": str(len(draft.lines))}))
    return refusals


def check_sums(draft: Draft) -> list[Refusal]:
    """What needs every figure to be right on its own."""
    refusals = _discounts(draft)
    if refusals:
        return refusals
    parts = [split(line.amount, line.rate, draft.pricing) for line in draft.lines]
    inclusive = sum((part[2] for part in parts), Decimal(0))
    if draft.difference is not None:
        refusals += _difference(draft.difference, inclusive)
    if inclusive <= 0:
        refusals.append(Refusal("TOTAL-NOT-POSITIVE", "lines", {"have": format_yuan(inclusive)}))
    elif inclusive > AMOUNT_MAX:
        refusals.append(Refusal("AMOUNT-TOO-LARGE", "lines", {"have": format_yuan(inclusive)}))
    if draft.total_inclusive is not None and draft.total_inclusive != inclusive:
        values = {"have": str(draft.total_inclusive)[:40], "sum": format_yuan(inclusive)}
        refusals.append(Refusal("TOTAL-DISAGREES", "total_inclusive", values))
    if draft.words is not None and from_words(draft.words[:100]) != inclusive:
        refusals.append(Refusal("WORDS-DISAGREE", "words", {"have": draft.words[:100], "sum": format_yuan(inclusive)}))
    if not refusals:
        refusals = _converted(draft) + _drift(draft, parts)
    return refusals


def _converted(draft: Draft) -> list[Refusal]:
    """Whether unit prices still fit and give the amount when both are worked out again without tax [L].

    Only enormous quantities and prices can fail: 900,000,000,000 pieces need more decimals than a unit price has.
    """
    refusals = []
    for place, line in enumerate(draft.lines):
        if line.quantity is None or line.unit_price is None:
            continue
        if line.quantity <= _EXACT_QUANTITY and line.unit_price <= _EXACT_PRICE:
            continue
        exclusive = taxed(line, draft)[0]
        price = exclusive_price(line, exclusive)
        assert price is not None, "both figures were given"
        product = WIDE.multiply(price, line.quantity)
        if len(f"{price:f}") > CHARACTERS_MAX or abs(WIDE.subtract(product, exclusive)) > PRODUCT_TOLERANCE:
            values = {"product": f"{product:.4f}", "amount": f"{exclusive:.2f}"}
            refusals.append(Refusal("LINE-PRODUCT-EXCLUSIVE", f"lines[{place}].quantity", values))
    return refusals


def _drift(draft: Draft, parts: list[tuple[Decimal, Decimal, Decimal]]) -> list[Refusal]:
    """How far the tax of the lines, each rounded, is off from the tax of the whole: at most 1.27 yuan [L].

    The signed differences are summed (see ``inspect``). They cancel out over lines of all sorts, and add up over
    hundreds of equal ones: the platform would refuse those, so they are refused here, where nothing is submitted yet.
    """
    if len(parts) <= _STEADY_LINES:
        return []
    pairs = zip(draft.lines, parts, strict=True)
    drift = abs(sum((exclusive * line.rate - tax for line, (exclusive, tax, _) in pairs), Decimal(0)))
    if drift <= TAX_TOLERANCE_SUM:
        return []
    return [Refusal("TAX-DRIFT", "lines", {"have": f"{drift:.2f}", "max": f"{TAX_TOLERANCE_SUM:.2f}"})]


def _discounts(draft: Draft) -> list[Refusal]:
    """A discount line follows its item directly, agrees with it, and takes no more than the item has."""
    refusals = []
    previous: Line | None = None
    for place, line in enumerate(draft.lines):
        path = f"lines[{place}]"
        if line.kind is LineKind.DISCOUNT:
            if previous is None or previous.kind is not LineKind.DISCOUNTED:
                refusals.append(Refusal("DISCOUNT-WITHOUT-ITEM", f"{path}.kind"))
            elif (line.name, line.code, line.rate) != (previous.name, previous.code, previous.rate):
                refusals.append(Refusal("DISCOUNT-DIFFERS", path))
            elif -line.amount > previous.amount:
                refusals.append(Refusal("DISCOUNT-TOO-LARGE", f"{path}.amount", {"item": format_yuan(previous.amount)}))
        elif previous is not None and previous.kind is LineKind.DISCOUNTED:
            refusals.append(Refusal("DISCOUNT-MISSING", f"lines[{place - 1}].kind"))
        previous = line
    if previous is not None and previous.kind is LineKind.DISCOUNTED:
        refusals.append(Refusal("DISCOUNT-MISSING", f"lines[{len(draft.lines) - 1}].kind"))
    return refusals


def _difference(difference: Difference, inclusive: Decimal) -> list[Refusal]:
    deduction = difference.deduction
    refusals = []
    if deduction > inclusive:
        values = {"have": format_yuan(deduction), "total": format_yuan(inclusive)}
        refusals.append(Refusal("DIFFERENCE-TOO-LARGE", "difference.deduction", values))
    if difference.vouchers:
        total = sum((voucher.amount for voucher in difference.vouchers), Decimal(0))
        if total != deduction:
            values = {"have": format_yuan(total), "deduction": format_yuan(deduction)}
            refusals.append(Refusal("DIFFERENCE-VOUCHERS", "difference.vouchers", values))
    return refusals
