"""From a checked draft to the invoice: lines with their tax, totals, and what stands in the remark."""

from __future__ import annotations

from datetime import date, datetime
from decimal import Decimal

from .draft import Difference, DifferenceMode, Draft
from .inspect import check_figures
from .issued import Bureau, IssuedInvoice, PricedLine, RedReference, Totals
from .lines import price_line
from .money import round_fen
from .parties import Party
from .refusal import refuse
from .rules import Catalogue
from .words import to_words


def printed_name(name: str, short_name: str) -> str:
    """``*餐饮服务*餐费`` (einvoice.md §6)."""
    return f"*{short_name}*{name}"


def price(draft: Draft, on: date, catalogue: Catalogue) -> tuple[tuple[PricedLine, ...], Totals]:
    """Work out tax and totals of a draft that ``rules.check`` let pass. Header totals are the sums of the lines.

    The figures are looked at once more as a stranger would. What disagrees is a rule that is missing, and is not
    issued: raises ``Refused`` FIGURES-DISAGREE.
    """
    priced = []
    for line in draft.lines:
        entry = catalogue.lookup(line.code, on)
        assert entry is not None, "a checked draft has known codes"
        priced.append(price_line(line, draft, printed_name(line.name, entry.short_name)))
    sums = totals_of(priced)
    found = check_figures(priced, sums, (_deducted(draft.difference),))
    if found:
        raise refuse("FIGURES-DISAGREE", found[0].field, have=found[0].cause)
    return tuple(priced), sums


def _deducted(difference: Difference | None) -> Decimal:
    """What the tax of the lines leaves out."""
    if difference is None or difference.mode is DifferenceMode.FULL:
        return Decimal(0)
    return difference.deduction


def totals_of(lines: list[PricedLine] | tuple[PricedLine, ...]) -> Totals:
    """The sums of the lines, and the last of them in words."""
    amount = sum((line.amount for line in lines), Decimal("0.00"))
    tax = sum((line.tax for line in lines), Decimal("0.00"))
    inclusive = amount + tax
    return Totals(round_fen(amount), round_fen(tax), round_fen(inclusive), to_words(inclusive))


def invoice_of(
    draft: Draft, lines: tuple[PricedLine, ...], totals: Totals, number: str, at: datetime, bureau: Bureau,
    red: RedReference | None = None,
) -> IssuedInvoice:  # fmt: skip
    """The invoice that a priced draft becomes under ``number`` at an aware moment in Asia/Shanghai, whole seconds;
    ``red`` is what a red one (红字发票) corrects."""
    assert at.microsecond == 0 and at.tzinfo is not None, "the original states whole seconds of a known zone"
    return IssuedInvoice(
        number=number,
        kind=draft.kind,
        seller=draft.seller,
        buyer=draft.buyer,
        lines=lines,
        totals=totals,
        drawer=draft.drawer,
        remark=remark_of(draft),
        requested_at=at,
        issued_on=at.date(),
        signed_at=at,
        bureau=bureau,
        red=red,
    )


def remark_of(draft: Draft) -> str:
    """备注 as it is printed: what the form requires first, what the merchant typed last.

    The order 差额征税, bank of the buyer, bank of the seller is ours; real invoices show several [U].
    """
    parts = []
    if draft.difference is not None:
        parts.append(_difference_remark(draft.difference))
    if draft.print_buyer_bank:
        parts.append(_bank_remark("购方", draft.buyer))
    if draft.print_seller_bank:
        parts.append(_bank_remark("销方", draft.seller))
    parts.append(draft.remark)
    return " ".join(part for part in parts if part)


def _difference_remark(difference: Difference) -> str:
    """``差额征税：20.00 元。`` of 差额开票 (tax-rules.md). 全额开票 names its mode and no amount, which would say of a
    full tax that it is not one; how the platform words it is not known [U]."""
    if difference.mode is DifferenceMode.FULL:
        return "差额征税-全额开票。"
    return f"差额征税：{difference.deduction:.2f} 元。"


def _bank_remark(side: str, party: Party) -> str:
    """Only what is known; the words are those that real invoices print."""
    parts = (
        (f"{side}开户银行", party.bank),
        ("银行账号", party.account),
        (f"{side}地址", party.address),
        ("电话", party.phone),
    )
    return "".join(f"{label}：{value}；" for label, value in parts if value)
