"""Looking at an invoice from outside (查验): do its figures agree with each other?

Strict where the form itself is strict (totals are sums, words are the figures), tolerant where rounding differs
between issuers (tax-rules.md, Amounts).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal, localcontext

from . import taxpayer_id
from .draft import ZeroKind
from .issued import SANDBOX_PROVINCE, IssuedInvoice, PricedLine, Totals
from .money import WIDE
from .refusal import Refusal
from .words import from_words

TAX_TOLERANCE_LINE = Decimal("0.06")  # yuan [C]
# Yuan [L]. Read as the sum of the signed differences: summed without their signs, honest rounding alone breaks it at
# 500 lines, and an invoice may have 2,000.
TAX_TOLERANCE_SUM = Decimal("1.27")
TAX_TOLERANCE_ROUNDING = Decimal("0.00565")  # yuan a line, at most: half a fen of a tax-inclusive amount at 13 %
PRODUCT_TOLERANCE = Decimal("0.01")  # yuan [L]

PROVINCES = frozenset(
    [
        "11",
        "12",
        "13",
        "14",
        "15",
        "21",
        "22",
        "23",
        "31",
        "32",
        "33",
        "34",
        "35",
        "36",
        "37",
        "41",
        "42",
        "43",
        "44",
        "45",
        "46",
        "50",
        "51",
        "52",
        "53",
        "54",
        "61",
        "62",
        "63",
        "64",
        "65",
    ]
)
_NUMBER = re.compile(r"\d{20}")
_DEDUCTION = re.compile(r"差额征税[:：]\s*(\d{1,13}(?:\.\d{1,2})?)\s*元")
_UNTAXED = (ZeroKind.EXEMPT, ZeroKind.UNTAXED)
_NOTHING = Decimal(0)
_WHOLE = (_NOTHING,)  # nothing is deducted: the tax is on the whole amount


def inspect(invoice: IssuedInvoice) -> list[Refusal]:
    """Everything that does not agree. Empty means that the file is consistent, not that it is genuine."""
    with localcontext(WIDE):
        return [
            *_number(invoice),
            *check_figures(invoice.lines, invoice.totals, deductions_of(invoice)),
            *_words(invoice.totals),
            *_ids(invoice),
        ]


def check_figures(
    lines: Sequence[PricedLine], totals: Totals, deductions: tuple[Decimal, ...] = _WHOLE
) -> list[Refusal]:
    """What the figures of an invoice say against each other; asked before an invoice is issued as well as of a file.

    ``deductions`` are those one of which each line's tax must agree with: nothing without 差额征税; when it is empty,
    what was deducted is not known, and the tax is between none and that on the whole amount.
    """
    found: list[Refusal] = []
    amount = tax = drift = _NOTHING
    for place, line in enumerate(lines):
        amount += line.amount
        tax += line.tax
        gap = _whole_tax(line) - line.tax
        drift += gap
        if line.amount + line.tax != line.inclusive:
            found.append(Refusal("INSPECT-LINE-TOTAL", f"lines[{place}]", {"have": f"{line.inclusive:.2f}"}))
        if deductions != _WHOLE or abs(gap) > TAX_TOLERANCE_LINE:
            found += _tax(line, f"lines[{place}]", deductions)
        if line.quantity is not None and line.unit_price is not None:
            found += _product(line, line.quantity * line.unit_price, f"lines[{place}]")
    if deductions == _WHOLE and abs(drift) > TAX_TOLERANCE_SUM:
        found += _drift(abs(drift), len(lines))
    return found + _totals(totals, amount, tax)


def deductions_of(invoice: IssuedInvoice) -> tuple[Decimal, ...]:
    """What may have been deducted under 差额征税, which no line shows: the remark does, in our files and most others.

    The remark is a free text, so one that names a deduction does not exclude a tax on the whole amount.
    """
    marked = "差额征税" in invoice.remark or any("差额征税" in name for name, _ in invoice.additional)
    if not marked or "全额开票" in invoice.remark:
        return _WHOLE
    stated = _DEDUCTION.search(invoice.remark)
    return (_NOTHING, Decimal(stated[1])) if stated and len(invoice.lines) == 1 else ()


def _number(invoice: IssuedInvoice) -> list[Refusal]:
    number = invoice.number
    if not _NUMBER.fullmatch(number):
        return [Refusal("INSPECT-NUMBER-FORM", "number", {"have": number[:40]})]
    if number[2:4] not in PROVINCES and number[2:4] != SANDBOX_PROVINCE:
        return [Refusal("INSPECT-NUMBER-PROVINCE", "number", {"have": number[2:4]})]
    if number[:2] != f"{invoice.issued_on:%y}":
        return [Refusal("INSPECT-NUMBER-YEAR", "number", {"have": number[:2]})]
    return []


def _totals(totals: Totals, amount: Decimal, tax: Decimal) -> list[Refusal]:
    """Whether the totals are the sums of the lines, and the last that of the other two."""
    found = []
    if amount != totals.amount or tax != totals.tax:
        values = {"sum": f"{amount:.2f} + {tax:.2f}", "have": f"{totals.amount:.2f} + {totals.tax:.2f}"}
        found.append(Refusal("INSPECT-SUM", "totals", values))
    if totals.amount + totals.tax != totals.inclusive:
        found.append(Refusal("INSPECT-TOTAL", "totals.inclusive", {"have": f"{totals.inclusive:.2f}"}))
    return found


def _words(totals: Totals) -> list[Refusal]:
    if from_words(totals.words[:100]) == totals.inclusive:
        return []
    return [Refusal("INSPECT-WORDS", "totals.words", {"have": totals.words[:100], "sum": f"{totals.inclusive:.2f}"})]


def _drift(drift: Decimal, lines: int) -> list[Refusal]:
    """Whether the tax of the lines is further off than it may be.

    Allowed is 1.27 yuan [L], or what honest rounding of so many lines can add up to at worst. Files from outside are
    read tolerantly; what is issued here is held to 1.27 by the rules.
    """
    if drift <= TAX_TOLERANCE_ROUNDING * lines:
        return []
    return [Refusal("INSPECT-TAX-SUM", "totals.tax", {"have": f"{drift:.2f}"})]


def _tax(line: PricedLine, path: str, deductions: tuple[Decimal, ...]) -> list[Refusal]:
    """Whether a line's tax agrees with one of the deductions, or with any when none is known."""
    whole = _whole_tax(line)
    expected = [_rest_tax(line, deduction) if deduction else whole for deduction in deductions]
    if expected:
        agrees = any(abs(tax - line.tax) <= TAX_TOLERANCE_LINE for tax in expected)
    else:
        agrees = min(_NOTHING, whole) - TAX_TOLERANCE_LINE <= line.tax <= max(_NOTHING, whole) + TAX_TOLERANCE_LINE
    if agrees:
        return []
    return [Refusal("INSPECT-LINE-TAX", path, {"have": f"{line.tax:.2f}", "sum": f"{(expected or [whole])[-1]:.2f}"})]


def _product(line: PricedLine, product: Decimal, path: str) -> list[Refusal]:
    if abs(product - line.amount) <= PRODUCT_TOLERANCE:
        return []
    return [Refusal("INSPECT-LINE-PRODUCT", path, {"have": f"{line.amount:.2f}", "sum": f"{product:.4f}"})]


def _whole_tax(line: PricedLine) -> Decimal:
    """The tax on the whole amount of a line."""
    # An exempt or untaxed line has no tax, whatever a foreign file says of its rate.
    return _NOTHING if line.zero in _UNTAXED else line.amount * line.rate


def _rest_tax(line: PricedLine, deduction: Decimal) -> Decimal:
    """The tax on what a deduction leaves of a line (差额征税-差额开票); of a red line as well."""
    return (line.inclusive - deduction.copy_sign(line.inclusive)) * line.rate / (1 + line.rate)


def _ids(invoice: IssuedInvoice) -> list[Refusal]:
    found = []
    for path, number in (("seller", invoice.seller.taxpayer_id), ("buyer", invoice.buyer.taxpayer_id)):
        if number and (fault := taxpayer_id.check(number, f"{path}.taxpayer_id")):
            found.append(Refusal("INSPECT-ID", fault.field, {"have": number[:20]}))
    return found
