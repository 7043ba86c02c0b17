"""Looking at an invoice from outside (查验): do its figures agree with each other?

Strict where the form itself is strict (totals are sums, words are the figures), tolerant where rounding differs
between issuers (tax-rules.md, Amounts).
"""

from __future__ import annotations

import re
from decimal import Decimal

from . import taxpayer_id
from .draft import ZeroKind
from .issued import SANDBOX_PROVINCE, IssuedInvoice
from .refusal import Refusal
from .words import from_words

TAX_TOLERANCE_LINE = Decimal("0.06")  # yuan [C]
TAX_TOLERANCE_SUM = Decimal("1.27")  # yuan [L]
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


def inspect(invoice: IssuedInvoice) -> list[Refusal]:
    """Everything that does not agree. Empty means that the file is consistent, not that it is genuine."""
    return [*_number(invoice), *_sums(invoice), *_lines(invoice), *_ids(invoice)]


def _number(invoice: IssuedInvoice) -> list[Refusal]:
    number = invoice.number
    if not _NUMBER.fullmatch(number):
        return [Refusal("INSPECT-NUMBER-FORM", "number", {"have": number[:40]})]
    if number[2:4] not in PROVINCES and number[2:4] != SANDBOX_PROVINCE:
        return [Refusal("INSPECT-NUMBER-PROVINCE", "number", {"have": number[2:4]})]
    if number[:2] != f"{invoice.issued_on:%y}":
        return [Refusal("INSPECT-NUMBER-YEAR", "number", {"have": number[:2]})]
    return []


def _sums(invoice: IssuedInvoice) -> list[Refusal]:
    totals = invoice.totals
    found = []
    amount = sum((line.amount for line in invoice.lines), Decimal(0))
    tax = sum((line.tax for line in invoice.lines), Decimal(0))
    if amount != totals.amount or tax != totals.tax:
        values = {"sum": f"{amount:.2f} + {tax:.2f}", "have": f"{totals.amount:.2f} + {totals.tax:.2f}"}
        found.append(Refusal("INSPECT-SUM", "totals", values))
    if totals.amount + totals.tax != totals.inclusive:
        found.append(Refusal("INSPECT-TOTAL", "totals.inclusive", {"have": f"{totals.inclusive:.2f}"}))
    if from_words(totals.words[:100]) != totals.inclusive:
        values = {"have": totals.words[:100], "sum": f"{totals.inclusive:.2f}"}
        found.append(Refusal("INSPECT-WORDS", "totals.words", values))
    return found


def _lines(invoice: IssuedInvoice) -> list[Refusal]:
    found = []
    drift = Decimal(0)
    # Under 差额征税 the tax is due on a part of the amount only, which the lines do not show.
    difference = invoice.remark.startswith("差额征税") or any(name == "差额征税" for name, _ in invoice.additional)
    for place, line in enumerate(invoice.lines):
        path = f"lines[{place}]"
        if line.amount + line.tax != line.inclusive:
            found.append(Refusal("INSPECT-LINE-TOTAL", path, {"have": f"{line.inclusive:.2f}"}))
        expected = Decimal(0) if line.zero in (ZeroKind.EXEMPT, ZeroKind.UNTAXED) else line.amount * line.rate
        gap = abs(expected - line.tax)
        drift += gap
        if gap > TAX_TOLERANCE_LINE and not difference:
            found.append(Refusal("INSPECT-LINE-TAX", path, {"have": f"{line.tax:.2f}", "sum": f"{expected:.2f}"}))
        if line.quantity is not None and line.unit_price is not None:
            product = line.quantity * line.unit_price
            if abs(product - line.amount) > PRODUCT_TOLERANCE:
                values = {"have": f"{line.amount:.2f}", "sum": f"{product:.4f}"}
                found.append(Refusal("INSPECT-LINE-PRODUCT", path, values))
    if drift > TAX_TOLERANCE_SUM and not difference:
        found.append(Refusal("INSPECT-TAX-SUM", "totals.tax", {"have": f"{drift:.2f}"}))
    return found


def _ids(invoice: IssuedInvoice) -> list[Refusal]:
    found = []
    for path, party, person in (
        ("seller", invoice.seller, False),
        ("buyer", invoice.buyer, invoice.buyer.natural_person),
    ):
        if party.taxpayer_id:
            fault = taxpayer_id.check(party.taxpayer_id, f"{path}.taxpayer_id", natural_person=person)
            if fault:
                found.append(Refusal("INSPECT-ID", fault.field, {"have": party.taxpayer_id[:20]}))
    return found
