"""Rules about the invoice as a whole: number of lines, discounts, 差额征税, sums, remark."""

from __future__ import annotations

from decimal import Decimal

from ..draft import Difference, Draft, Line, LineKind
from ..lines import split
from ..money import AMOUNT_MAX, format_yuan, round_fen
from ..refusal import Refusal
from ..words import from_words
from . import text

LINES_MAX = 2_000  # discount lines included


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
    """What needs every line to be right on its own."""
    refusals = _discounts(draft)
    if refusals:
        return refusals
    inclusive = sum((split(line.amount, line.rate, draft.pricing)[2] for line in draft.lines), Decimal(0))
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
    return refusals


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
    if not deduction.is_finite() or deduction <= 0 or deduction != round_fen(deduction):
        return [Refusal("DIFFERENCE-DEDUCTION", "difference.deduction", {"have": str(deduction)[:40]})]
    refusals = []
    if deduction > inclusive:
        values = {"have": format_yuan(deduction), "total": format_yuan(inclusive)}
        refusals.append(Refusal("DIFFERENCE-TOO-LARGE", "difference.deduction", values))
    if difference.vouchers:
        total = sum((voucher.amount for voucher in difference.vouchers), Decimal(0))
        if total != deduction:
            values = {"have": str(total)[:40], "deduction": format_yuan(deduction)}
            refusals.append(Refusal("DIFFERENCE-VOUCHERS", "difference.vouchers", values))
    return refusals
