"""Rules about a red invoice (红字发票): it takes back no more than the blue one gave, line by line, tax and amount.

Source: tax-rules.md, Correction; partial correction only after the buyer has used or booked the invoice [U].
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from ..draft import LineKind
from ..inspect import TAX_TOLERANCE_LINE
from ..issued import PricedLine
from ..money import border_fault, format_yuan, round_fen
from ..red import RedDraft, RedLine, items, left, whole
from ..red_form import ISSUABLE, RedFormState
from ..refusal import Refusal
from . import text

FORM_NUMBER_MAX = 40  # characters; the platform's have 20 digits [U]


def check_red(draft: RedDraft, state: RedFormState, earlier: Sequence[RedLine], *, used: bool) -> list[Refusal]:
    """All refusals of a red draft. ``state`` is that of its form, ``earlier`` what red invoices took back already,
    ``used`` whether the buyer confirmed the use of the blue invoice or booked it."""
    refusals: list[Refusal] = []
    if draft.blue.red is not None:
        return [Refusal("RED-OF-RED", "blue")]
    if state not in ISSUABLE:
        refusals.append(Refusal("RED-FORM-STATE", "form", {"state": state.value}))
    refusals += text.check(draft.form_number, "form_number", FORM_NUMBER_MAX, required=True)
    refusals += text.check(draft.drawer, "drawer", text.DRAWER_MAX, required=True)
    refusals += text.check(draft.remark, "remark", text.REMARK_MAX)
    if not draft.lines:
        refusals.append(Refusal("LINES-NONE", "lines"))
    refusals += _lines(draft, earlier)
    if not refusals and not used and set(draft.lines) != set(whole(draft.blue, earlier)):
        refusals.append(Refusal("RED-ONLY-WHOLE", "lines"))
    return refusals


def _lines(draft: RedDraft, earlier: Sequence[RedLine]) -> list[Refusal]:
    named, rest = items(draft.blue), left(draft.blue, earlier)
    refusals: list[Refusal] = []
    seen: set[int] = set()
    for number, line in enumerate(draft.lines):
        path = f"lines[{number}]"
        if line.place not in named:
            refusals.append(Refusal("RED-LINE-UNKNOWN", f"{path}.place", {"place": str(line.place + 1)}))
        elif line.place in seen:
            refusals.append(Refusal("RED-LINE-TWICE", f"{path}.place", {"place": str(line.place + 1)}))
        else:
            refusals += _one(line, path, named[line.place], rest[line.place])
        seen.add(line.place)
    return refusals


def _one(line: RedLine, path: str, item: PricedLine, rest: tuple[Decimal, Decimal]) -> list[Refusal]:
    for value, field in ((line.amount, "amount"), (line.tax, "tax"), (line.quantity, "quantity")):
        if value is None:
            continue
        if fault := border_fault(value, f"{path}.{field}"):
            return [fault]
        if value > 0 or (value == 0 and field != "tax"):
            return [Refusal("RED-NOT-NEGATIVE", f"{path}.{field}", {"have": f"{value:f}"[:40]})]
        if field != "quantity" and value != round_fen(value):
            return [Refusal("AMOUNT-DECIMALS", f"{path}.{field}", {"have": f"{value:f}"[:40]})]
    amount_left, tax_left = rest
    refusals = []
    if -line.amount > amount_left:
        values = {"have": format_yuan(-line.amount), "left": format_yuan(amount_left)}
        refusals.append(Refusal("RED-EXCEEDS", f"{path}.amount", values))
    if -line.tax > tax_left:
        values = {"have": format_yuan(-line.tax), "left": format_yuan(tax_left)}
        refusals.append(Refusal("RED-EXCEEDS", f"{path}.tax", values))
    if line.quantity is not None and (item.quantity is None or -line.quantity > item.quantity):
        refusals.append(Refusal("RED-QUANTITY", f"{path}.quantity", {"have": f"{-line.quantity:f}"[:40]}))
    takes_all = (-line.amount, -line.tax) == rest
    if not refusals and not takes_all and abs(line.amount * item.rate - line.tax) > TAX_TOLERANCE_LINE:
        # What is left of an item is taken back as it stands, however it was rounded; a part follows the rate.
        refusals.append(Refusal("RED-TAX", f"{path}.tax", {"have": format_yuan(line.tax)}))
    assert item.kind is not LineKind.DISCOUNT, "a discount belongs to its item"
    return refusals
