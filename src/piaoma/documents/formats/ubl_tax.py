"""Tax as EN 16931 sorts it: categories S, Z, E, G, O, and whether the tax of each is its base times its rate.

Chinese tax is rounded line by line and the sums are binding, so the tax of a category differs from its base times its
rate by some fen. The standard (BR-CO-17, BR-S-09) computes it from the sum; its official rules, which receivers run,
let it differ by less than one unit of the currency. The original's tax is written as it is within that, and beyond it
there is no document: a changed tax would be another invoice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import TYPE_CHECKING

import msgspec

from piaoma.invoice.draft import ZeroKind
from piaoma.invoice.issued import PricedLine
from piaoma.invoice.money import round_fen
from piaoma.invoice.refusal import refuse

if TYPE_CHECKING:
    from .ubl_lines import UblLine

CATEGORY_TOLERANCE = Decimal(1)  # yuan, less than; of the official rules for BR-CO-17 and BR-S-09


class Category(StrEnum):
    """UNTDID 5305, the codes that apply."""

    STANDARD = "S"  # any rate or levy rate above zero
    ZERO = "Z"  # 普通零税率
    EXEMPT = "E"  # 免税
    EXPORT = "G"  # 出口零税率
    OUTSIDE = "O"  # 不征税


class TaxGroup(msgspec.Struct, frozen=True):
    """A category at a rate (BG-23). ``percent`` is None outside VAT; ``reason`` is BT-120, empty for S and Z."""

    category: Category
    percent: Decimal | None
    reason: str = ""


class Subtotal(msgspec.Struct, frozen=True):
    """Base (BT-116) and tax (BT-117) of a group, yuan."""

    group: TaxGroup
    base: Decimal
    tax: Decimal


_NO_TAX = Decimal(0)
DEDUCTED = TaxGroup(Category.EXEMPT, _NO_TAX, "差额征税扣除部分，不计税 Deducted under differential taxation")
_ZEROS = {
    ZeroKind.EXEMPT: TaxGroup(Category.EXEMPT, _NO_TAX, "免税 Exempt from VAT"),
    ZeroKind.UNTAXED: TaxGroup(Category.OUTSIDE, None, "不征税 Not subject to VAT"),
    ZeroKind.EXPORT: TaxGroup(Category.EXPORT, _NO_TAX, "出口零税率 Export, zero rate"),
}


def group_of(line: PricedLine) -> TaxGroup:
    """The category and rate of a row of the original."""
    if line.zero in _ZEROS:
        return _ZEROS[line.zero]
    if line.rate == 0:
        return TaxGroup(Category.ZERO, _NO_TAX)
    return TaxGroup(Category.STANDARD, (line.rate * 100).normalize())


def subtotals_of(lines: Iterable[UblLine]) -> list[Subtotal]:
    """The groups in the order in which they first appear.

    Raises ``Refused`` UBL-TAX-DIFFERS, and UBL-UNTAXED-MIXED where 不征税 stands beside anything else (BR-O-11).
    """
    sums: dict[TaxGroup, tuple[Decimal, Decimal]] = {}
    for line in lines:
        base, tax = sums.get(line.group, (_NO_TAX, _NO_TAX))
        sums[line.group] = (base + line.net, tax + line.tax)
    found = [Subtotal(group, base, tax) for group, (base, tax) in sums.items()]
    if len(found) > 1 and is_outside(found):
        raise refuse("UBL-UNTAXED-MIXED")
    for subtotal in found:
        _check(subtotal)
    return found


def is_outside(subtotals: Sequence[Subtotal]) -> bool:
    """Whether any of it is 不征税; then the parties have no VAT numbers (BR-O-02)."""
    return any(subtotal.group.category is Category.OUTSIDE for subtotal in subtotals)


def _check(subtotal: Subtotal) -> None:
    percent = subtotal.group.percent or _NO_TAX
    expected = round_fen(subtotal.base * percent / 100)
    allowed = CATEGORY_TOLERANCE if percent else Decimal("0.01")  # without a rate there is no tax at all (BR-E-09)
    if abs(subtotal.tax - expected) >= allowed:
        values = {"have": f"{subtotal.tax:.2f}", "sum": f"{expected:.2f}", "rate": f"{percent:f}%"}
        raise refuse("UBL-TAX-DIFFERS", **values)
