"""Facts (票面要素): what one source of a file says of its invoice, so that sources can be held against each other."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal

import msgspec

from piaoma.codes.printed import PrintedCode
from piaoma.invoice.inspect import PROVINCES
from piaoma.invoice.issued import SANDBOX_PROVINCE, IssuedInvoice
from piaoma.invoice.refusal import Refusal
from piaoma.invoice.taxpayer_id import check as check_id
from piaoma.invoice.words import WORDS_CHARACTERS_MAX, from_words

LEGACY_DIGITS = 8  # of a number before 数电票, which stands with a code

_CODE = re.compile(r"\d{10}|\d{12}")
_SPACES = re.compile(r"\s+")
_BRACKETS = str.maketrans("（）", "()")


class Facts(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a source states; empty or None where it says nothing. Money in yuan, ``total`` tax-inclusive.

    ``code`` and ``check`` (校验码) occur on invoices before 数电票 only, whose QR states the tax-exclusive ``amount``.
    """

    number: str = ""
    issued_on: date | None = None
    total: Decimal | None = None
    amount: Decimal | None = None
    tax: Decimal | None = None
    words: str = ""
    buyer_name: str = ""
    buyer_id: str = ""
    seller_name: str = ""
    seller_id: str = ""
    code: str = ""
    check: str = ""

    @property
    def sandbox(self) -> bool:
        """True when the number cannot be a real one."""
        return len(self.number) == 20 and self.number[2:4] == SANDBOX_PROVINCE


def facts_of(invoice: IssuedInvoice) -> Facts:
    """What an original says."""
    return Facts(
        number=invoice.number,
        issued_on=invoice.issued_on,
        total=invoice.totals.inclusive,
        amount=invoice.totals.amount,
        tax=invoice.totals.tax,
        words=invoice.totals.words,
        buyer_name=invoice.buyer.name,
        buyer_id=invoice.buyer.taxpayer_id,
        seller_name=invoice.seller.name,
        seller_id=invoice.seller.taxpayer_id,
    )


def facts_of_code(code: PrintedCode) -> Facts:
    """What a printed QR says: on a 数电票 the total, on an older invoice the amount without tax (einvoice.md §2)."""
    legacy = len(code.number) == LEGACY_DIGITS
    return Facts(
        number=code.number,
        issued_on=code.issued_on,
        total=None if legacy else code.amount,
        amount=code.amount if legacy else None,
        code=code.code,
        check=code.check,
    )


def merged(first: Facts, second: Facts) -> Facts:
    """The first, with what only the second says."""
    stated = {name: getattr(first, name) or getattr(second, name) for name in Facts.__struct_fields__}
    for name in ("total", "amount", "tax"):  # zero is a statement
        stated[name] = getattr(second, name) if getattr(first, name) is None else getattr(first, name)
    return Facts(**stated)


def disagreements(one: Facts, other: Facts) -> Iterator[tuple[str, str, str]]:
    """(field, what one says, what the other says) wherever both say something and not the same."""
    for name in Facts.__struct_fields__:
        left, right = getattr(one, name), getattr(other, name)
        if left in ("", None) or right in ("", None):
            continue
        if not _same(name, left, right):
            yield name, str(left), str(right)


def _same(name: str, left: object, right: object) -> bool:
    if not (isinstance(left, str) and isinstance(right, str)):
        return left == right
    left, right = bare(left), bare(right)
    if name == "words":
        return left == right or from_words(left[:WORDS_CHARACTERS_MAX]) == from_words(right[:WORDS_CHARACTERS_MAX])
    if name.endswith("_name"):
        # A long name is wrapped on a page, and some producers cut it.
        return left.startswith(right) or right.startswith(left)
    return left == right


def bare(text: str) -> str:
    """Without spaces, currency and the width of brackets, in which producers differ."""
    return _SPACES.sub("", text).replace("¥", "").replace("￥", "").translate(_BRACKETS)


def number_faults(facts: Facts) -> list[Refusal]:
    """What is not plausible in a number (einvoice.md §3). An older one has no year and no province to look at."""
    number = facts.number
    if len(number) == LEGACY_DIGITS and number.isdigit():
        return [] if _CODE.fullmatch(facts.code) else [Refusal("INSPECT-NUMBER-FORM", "", {"have": number})]
    if len(number) != 20 or not (number.isascii() and number.isdigit()):
        return [Refusal("INSPECT-NUMBER-FORM", "", {"have": number[:40]})]
    if number[2:4] not in PROVINCES and number[2:4] != SANDBOX_PROVINCE:
        return [Refusal("INSPECT-NUMBER-PROVINCE", "", {"have": number[2:4]})]
    if facts.issued_on is not None and number[:2] != f"{facts.issued_on:%y}":
        return [Refusal("INSPECT-NUMBER-YEAR", "", {"have": number[:2]})]
    return []


def figure_faults(facts: Facts) -> list[Refusal]:
    """What does not agree among the figures of one source."""
    faults = []
    amount, tax, total = facts.amount, facts.tax, facts.total
    if amount is not None and tax is not None and total is not None and amount + tax != total:
        faults.append(Refusal("INSPECT-TOTAL", "", {"have": f"{total:.2f}"}))
    if facts.words and total is not None and from_words(facts.words[:WORDS_CHARACTERS_MAX]) != total:
        faults.append(Refusal("INSPECT-WORDS", "", {"have": facts.words[:40], "sum": f"{total:.2f}"}))
    return faults


def id_faults(facts: Facts) -> list[Refusal]:
    """Which taxpayer ids cannot be one."""
    stated = [number for number in (facts.seller_id, facts.buyer_id) if number and "*" not in number]
    return [Refusal("INSPECT-ID", "", {"have": number[:20]}) for number in stated if check_id(number, "")]
