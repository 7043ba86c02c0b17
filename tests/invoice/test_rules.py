"""Every rule of a draft refuses alone, with its own cause, at its own field."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec
import pytest

from piaoma.invoice import rules
from piaoma.invoice.classification import Classification, Entry, load
from piaoma.invoice.draft import (
    Deduction,
    Difference,
    DifferenceMode,
    Draft,
    InvoiceKind,
    Line,
    LineKind,
    Pricing,
    ZeroKind,
)  # fmt: skip
from piaoma.invoice.parties import Buyer, Seller, TaxpayerKind

D = Decimal
TODAY = date(2026, 11, 24)
CODE = "3070401000000000000"
LINE = Line("餐费", CODE, D("0.06"), D("58.00"))
DRAFT = Draft(
    kind=InvoiceKind.GENERAL,
    seller=Seller("武汉测试餐饮有限公司", "91420100MA4K00000Q"),
    buyer=Buyer("武汉某某科技有限公司", "91110108690017781B"),
    lines=(LINE,),
    drawer="张某",
)
PERSON = Buyer("个人", natural_person=True)
ID_CARD = "11010519491231002X"
ITEM = msgspec.structs.replace(LINE, kind=LineKind.DISCOUNTED)
DISCOUNT = msgspec.structs.replace(LINE, kind=LineKind.DISCOUNT, amount=D("-8.00"))
SMALL = msgspec.structs.replace(DRAFT.seller, taxpayer_kind=TaxpayerKind.SMALL_SCALE)


def draft(**changes: Any) -> Draft:
    return msgspec.structs.replace(DRAFT, **changes)


def line(**changes: Any) -> Draft:
    return draft(lines=(msgspec.structs.replace(LINE, **changes),))


def causes(one: Draft, catalogue: Classification | None = None) -> list[tuple[str, str]]:
    return [(refusal.cause, refusal.field) for refusal in rules.check(one, TODAY, catalogue or load())]


LEGAL = {
    "plain": DRAFT,
    "person": draft(buyer=PERSON),
    "special": draft(kind=InvoiceKind.SPECIAL),
    "exclusive": draft(pricing=Pricing.EXCLUSIVE),
    "quantity": line(quantity=D(2), unit_price=D("29.00"), unit="份"),
    "thirteen decimals": line(quantity=D("3"), unit_price=D("19.3333333333333")),
    "rare characters": line(name="𠮷野家䶮龘㼆餐"),
    "discount": draft(lines=(ITEM, DISCOUNT)),
    "whole discount beside another": draft(lines=(ITEM, msgspec.structs.replace(DISCOUNT, amount=D("-58.00")), LINE)),
    "exempt": line(rate=D(0), zero=ZeroKind.EXEMPT, preference="03"),
    "untaxed": line(rate=D(0), zero=ZeroKind.UNTAXED, preference="04"),
    "export": line(rate=D(0), zero=ZeroKind.EXPORT),
    "ordinary zero": line(rate=D(0), zero=ZeroKind.ORDINARY),
    "simplified 3%": line(rate=D("0.03"), preference="08"),
    "simplified 5%": line(rate=D("0.05"), preference="09"),
    "1.5%": line(rate=D("0.015"), preference="10"),
    "small-scale": draft(seller=SMALL, lines=(msgspec.structs.replace(LINE, rate=D("0.01")),)),
    "refund after the fact": line(preference="14"),
    "difference": draft(difference=Difference(DifferenceMode.DIFFERENCE, D("20.00"), (Deduction("01", D("20.00")),))),
    "words agree": draft(words="伍拾捌元整", total_inclusive=D("58")),
    "full difference": draft(difference=Difference(DifferenceMode.FULL, D("20.00"))),
    "most lines": draft(lines=(msgspec.structs.replace(LINE, amount=D("53.00")),) * 2000),
    "most lines, none like the other": draft(
        lines=tuple(msgspec.structs.replace(LINE, amount=D(fen).scaleb(-2)) for fen in range(5800, 7800))
    ),
    "equal lines as many as cannot drift": draft(lines=(LINE,) * 224),
    "id card of a person": draft(buyer=Buyer("张三", ID_CARD, natural_person=True)),
    "id card of a trader": draft(buyer=Buyer("某某商店", ID_CARD)),
    "zeros behind the point": line(quantity=D("2." + "0" * 30), unit_price=D("29." + "0" * 30), amount=D("58.000")),
    "largest quantity that is exact": line(quantity=D("100000000000"), unit_price=D("0.0000000005"), amount=D("50.00")),
}


@pytest.mark.parametrize("name", LEGAL)
def test_a_legal_draft_passes(name: str) -> None:
    """Each legal combination is accepted."""
    assert causes(LEGAL[name]) == []


ILLEGAL: list[tuple[Draft, str, str]] = [
    (draft(lines=()), "LINES-NONE", "lines"),
    (draft(lines=(LINE,) * 2001), "LINES-TOO-MANY", "lines"),
    (draft(seller=Seller("武汉测试餐饮有限公司")), "SELLER-ID-MISSING", "seller.taxpayer_id"),
    (draft(buyer=Buyer("武汉某某科技有限公司")), "TITLE-ID-MISSING", "buyer.taxpayer_id"),
    (draft(buyer=Buyer("某公司", "91500102563638729E")), "TITLE-ID-CHECKSUM", "buyer.taxpayer_id"),
    (draft(buyer=Buyer("某公司", "9150010256363")), "TITLE-ID-LENGTH", "buyer.taxpayer_id"),
    (draft(buyer=Buyer("某公司", "91110108690017781b")), "TITLE-ID-CHARACTER", "buyer.taxpayer_id"),
    (draft(buyer=Buyer(" ", "91110108690017781B")), "TEXT-EMPTY", "buyer.name"),
    (draft(buyer=Buyer("长" * 101, "91110108690017781B")), "TEXT-TOO-LONG", "buyer.name"),
    (draft(buyer=Buyer("<script>", "91110108690017781B")), "TEXT-ANGLE-BRACKET", "buyer.name"),
    (draft(buyer=Buyer("好公司😀", "91110108690017781B")), "TEXT-EMOJI", "buyer.name"),
    (draft(buyer=Buyer("公\x00司", "91110108690017781B")), "TEXT-CONTROL", "buyer.name"),
    (draft(buyer=Buyer("公\u202e司", "91110108690017781B")), "TEXT-CONTROL", "buyer.name"),
    (draft(buyer=Buyer("某公司", "91110108690017781B", address="址" * 301)), "TEXT-TOO-LONG", "buyer.address"),
    (draft(buyer=Buyer("某公司", "91110108690017781B", phone="1" * 61)), "TEXT-TOO-LONG", "buyer.phone"),
    (draft(buyer=Buyer("某公司", "91110108690017781B", bank="行" * 121)), "TEXT-TOO-LONG", "buyer.bank"),
    (draft(buyer=Buyer("某公司", "91110108690017781B", account="1" * 101)), "TEXT-TOO-LONG", "buyer.account"),
    (draft(drawer=""), "TEXT-EMPTY", "drawer"),
    (draft(remark="备" * 201), "TEXT-TOO-LONG", "remark"),
    (draft(kind=InvoiceKind.SPECIAL, buyer=PERSON), "SPECIAL-NATURAL-PERSON", "kind"),
    (draft(kind=InvoiceKind.SPECIAL, buyer=Buyer("某公司")), "SPECIAL-BUYER-ID", "buyer.taxpayer_id"),
    (
        draft(kind=InvoiceKind.SPECIAL, buyer=Buyer("张三", ID_CARD)),
        "SPECIAL-NATURAL-PERSON", "buyer.taxpayer_id",
    ),
    (
        draft(kind=InvoiceKind.SPECIAL, buyer=Buyer("张三", "110105194912310038")),
        "SPECIAL-NATURAL-PERSON", "buyer.taxpayer_id",
    ),
    (draft(buyer=Buyer("张三", "110105194912310021", natural_person=True)), "TITLE-ID-CHECKSUM", "buyer.taxpayer_id"),
    (draft(buyer=Buyer("某公司ก", "91110108690017781B")), "TEXT-NOT-PRINTABLE", "buyer.name"),
    (draft(lines=(LINE,) * 2000), "TAX-DRIFT", "lines"),
    (
        line(quantity=D("900000000000"), unit_price=D("10"), amount=D("9000000000000.00")),
        "LINE-PRODUCT-EXCLUSIVE", "lines[0].quantity",
    ),
    (
        msgspec.structs.replace(
            line(quantity=D("1E-13"), unit_price=D("95000000000000000"), amount=D("9500.00")),
            pricing=Pricing.EXCLUSIVE, difference=Difference(DifferenceMode.DIFFERENCE, D("9000.00")),
        ),
        "LINE-PRODUCT-EXCLUSIVE", "lines[0].quantity",
    ),
    (
        msgspec.structs.replace(line(rate=D(0), zero=ZeroKind.EXEMPT, preference="03"), kind=InvoiceKind.SPECIAL),
        "SPECIAL-EXEMPT", "lines[0].zero",
    ),
    (line(name=""), "TEXT-EMPTY", "lines[0].name"),
    (line(name="名" * 201), "TEXT-TOO-LONG", "lines[0].name"),
    (line(spec="规" * 101), "TEXT-TOO-LONG", "lines[0].spec"),
    (line(amount=D("NaN")), "AMOUNT-NOT-A-NUMBER", "lines[0].amount"),
    (line(amount=D("Infinity")), "AMOUNT-NOT-A-NUMBER", "lines[0].amount"),
    (line(amount=D("0")), "AMOUNT-NOT-POSITIVE", "lines[0].amount"),
    (line(amount=D("-1")), "AMOUNT-NOT-POSITIVE", "lines[0].amount"),
    (line(amount=D("1.001")), "AMOUNT-DECIMALS", "lines[0].amount"),
    (line(amount=D("1E+20")), "AMOUNT-TOO-LARGE", "lines[0].amount"),
    (line(unit="份"), "LINE-UNIT-NEEDS-QUANTITY", "lines[0].unit"),
    (line(quantity=D(1)), "LINE-QUANTITY-AND-PRICE", "lines[0].unit_price"),
    (line(unit_price=D(1)), "LINE-QUANTITY-AND-PRICE", "lines[0].quantity"),
    (line(quantity=D(2), unit_price=D("29.02")), "LINE-PRODUCT", "lines[0].amount"),
    (line(quantity=D("1.00000000000001"), unit_price=D("58")), "LINE-FIGURE-DECIMALS", "lines[0].quantity"),
    (line(quantity=D("1234567.12345678901"), unit_price=D("1")), "LINE-FIGURE-TOO-LONG", "lines[0].quantity"),
    (line(quantity=D("1E+99"), unit_price=D("1")), "LINE-FIGURE-TOO-LONG", "lines[0].quantity"),
    (line(quantity=D("-1"), unit_price=D("58")), "AMOUNT-NOT-POSITIVE", "lines[0].quantity"),
    (line(code="123"), "LINE-CODE-FORM", "lines[0].code"),
    (line(code="9999999999999999999"), "LINE-CODE-UNKNOWN", "lines[0].code"),
    (line(rate=D("0.13")), "LINE-RATE-FOR-CODE", "lines[0].rate"),
    (line(rate=D("0.07")), "RATE-UNKNOWN", "lines[0].rate"),
    (line(rate=D("NaN")), "RATE-UNKNOWN", "lines[0].rate"),
    (line(rate=D("0")), "RATE-ZERO-KIND", "lines[0].zero"),
    (line(zero=ZeroKind.EXPORT), "RATE-ZERO-KIND", "lines[0].zero"),
    (line(rate=D("0.03")), "RATE-LEVY-NEEDS-MARK", "lines[0].rate"),
    (draft(seller=SMALL), "RATE-SMALL-SCALE", "lines[0].rate"),
    (draft(seller=SMALL, lines=(msgspec.structs.replace(LINE, rate=D("0.03")),)), "RATE-LEVY-OF-DAY", "lines[0].rate"),
    (line(preference="99"), "PREFERENCE-UNKNOWN", "lines[0].preference"),
    (line(preference="08"), "PREFERENCE-RATE", "lines[0].preference"),
    (line(rate=D(0), zero=ZeroKind.EXEMPT), "PREFERENCE-ZERO-KIND", "lines[0].preference"),
    (draft(lines=(DISCOUNT,)), "DISCOUNT-WITHOUT-ITEM", "lines[0].kind"),
    (draft(lines=(ITEM,)), "DISCOUNT-MISSING", "lines[0].kind"),
    (draft(lines=(ITEM, msgspec.structs.replace(DISCOUNT, name="别的"))), "DISCOUNT-DIFFERS", "lines[1]"),
    (
        draft(lines=(ITEM, msgspec.structs.replace(DISCOUNT, amount=D("-58.01")), LINE)),
        "DISCOUNT-TOO-LARGE", "lines[1].amount",
    ),
    (
        draft(lines=(ITEM, msgspec.structs.replace(DISCOUNT, amount=D("8.00")))),
        "DISCOUNT-NOT-NEGATIVE", "lines[1].amount",
    ),
    (
        draft(lines=(ITEM, msgspec.structs.replace(DISCOUNT, quantity=D(1)))),
        "DISCOUNT-QUANTITY", "lines[1].quantity",
    ),
    (draft(lines=(ITEM, msgspec.structs.replace(DISCOUNT, amount=D("-58.00")))), "TOTAL-NOT-POSITIVE", "lines"),
    (draft(total_inclusive=D("59")), "TOTAL-DISAGREES", "total_inclusive"),
    (draft(words="伍拾玖圆整"), "WORDS-DISAGREE", "words"),
    (
        draft(lines=(LINE, LINE), difference=Difference(DifferenceMode.FULL, D("1.00"))),
        "DIFFERENCE-ONE-LINE", "lines",
    ),
    (draft(difference=Difference(DifferenceMode.FULL, D("58.01"))), "DIFFERENCE-TOO-LARGE", "difference.deduction"),
    (draft(difference=Difference(DifferenceMode.FULL, D("0"))), "DIFFERENCE-DEDUCTION", "difference.deduction"),
    (
        draft(difference=Difference(DifferenceMode.FULL, D("2.00"), (Deduction("01", D("1.00")),))),
        "DIFFERENCE-VOUCHERS", "difference.vouchers",
    ),
    (
        # They add up, but a voucher below nothing is none.
        draft(difference=Difference(DifferenceMode.FULL, D(30), (Deduction("01", D(-70)), Deduction("01", D(100))))),
        "AMOUNT-NOT-POSITIVE", "difference.vouchers[0].amount",
    ),
    (
        draft(difference=Difference(DifferenceMode.FULL, D("2.00"), (Deduction("01", D("2.001")),))),
        "AMOUNT-DECIMALS", "difference.vouchers[0].amount",
    ),
    (
        draft(difference=Difference(DifferenceMode.FULL, D("2.00"), (Deduction("01", D("1E+13")),))),
        "AMOUNT-TOO-LARGE", "difference.vouchers[0].amount",
    ),
]  # fmt: skip

BEYOND = [
    "NaN",
    "-NaN",
    "sNaN",
    "Infinity",
    "-Infinity",
    "1E+400",
    "1E-400",
    "-1E-999999999",
    "1E+999999999",
    "9" * 5000,
]
BEYOND += ["0E-999999999", "0." + "0" * 60 + "1"]
FIGURES: dict[str, Callable[[Decimal], Draft]] = {
    "lines[0].amount": lambda figure: line(amount=figure),
    "lines[0].rate": lambda figure: line(rate=figure),
    "lines[0].quantity": lambda figure: line(quantity=figure, unit_price=D(29)),
    "lines[0].unit_price": lambda figure: line(quantity=D(2), unit_price=figure),
    "total_inclusive": lambda figure: draft(total_inclusive=figure),
    "difference.deduction": lambda figure: draft(difference=Difference(DifferenceMode.DIFFERENCE, figure)),
    "difference.vouchers[0].amount": lambda figure: draft(
        difference=Difference(DifferenceMode.DIFFERENCE, D("2.00"), (Deduction("01", figure),))
    ),
}


@pytest.mark.parametrize("figure", BEYOND, ids=lambda figure: figure[:14])
@pytest.mark.parametrize("field", FIGURES)
def test_a_figure_beyond_all_bounds_is_refused_at_its_field(field: str, figure: str) -> None:
    """No Decimal that JSON can hold makes a rule raise or run away, wherever it stands; the sentence can be said.

    The control is ``test_a_legal_draft_passes``: the same drafts with figures as people write them.
    """
    began = time.perf_counter()
    refusals = rules.check(FIGURES[field](D(figure)), TODAY, load())
    assert [refusal.field for refusal in refusals] == [field]
    assert len(refusals[0].what() + refusals[0].remedy("en")) < 300
    assert time.perf_counter() - began < 0.5


@pytest.mark.parametrize("figure", BEYOND, ids=lambda figure: figure[:14])
def test_two_figures_beyond_all_bounds_are_both_named(figure: str) -> None:
    """An infinite voucher and its opposite, a line and the total: each is refused for itself."""
    vouchers = (Deduction("01", D(figure)), Deduction("01", D("-Infinity")))
    one = msgspec.structs.replace(
        line(amount=D(figure)),
        difference=Difference(DifferenceMode.FULL, D("2.00"), vouchers),
        total_inclusive=D("sNaN"),
    )
    fields = {field for _, field in causes(one)}
    assert fields == {
        "lines[0].amount", "total_inclusive", "difference.vouchers[0].amount", "difference.vouchers[1].amount",
    }  # fmt: skip


def test_minus_nothing_is_no_rate() -> None:
    """It would be written as -0.00; nothing without the minus is a rate (the control)."""
    assert causes(line(rate=D("-0"), zero=ZeroKind.ORDINARY)) == [("RATE-UNKNOWN", "lines[0].rate")]
    assert causes(line(rate=D("0"), zero=ZeroKind.ORDINARY)) == []


@pytest.mark.parametrize(("one", "cause", "field"), ILLEGAL, ids=[f"{c}-{i}" for i, (_, c, _) in enumerate(ILLEGAL)])
def test_a_broken_rule_is_refused_alone(one: Draft, cause: str, field: str) -> None:
    """One fault gives exactly one refusal, with its cause and its path, and both its sentences in both languages."""
    (refusal,) = rules.check(one, TODAY, load())
    assert (refusal.cause, refusal.field) == (cause, field)
    for sentence in (refusal.what("zh"), refusal.what("en"), refusal.remedy("zh"), refusal.remedy("en")):
        assert "{" not in sentence and len(sentence) > 4


def test_a_summary_code_is_refused() -> None:
    """Only leaves may be invoiced."""
    table = Classification([Entry(CODE, "汇总", "汇总", (D("0.06"),), leaf=False)])
    assert causes(DRAFT, table) == [("LINE-CODE-SUMMARY", "lines[0].code")]


def test_the_small_scale_rate_follows_the_day() -> None:
    """1 % from 2026 to 2027, 3 % afterwards."""
    later = date(2028, 1, 1)
    at_three = draft(seller=SMALL, lines=(msgspec.structs.replace(LINE, rate=D("0.03")),))
    assert rules.check(at_three, later, load()) == []
    at_one = draft(seller=SMALL, lines=(msgspec.structs.replace(LINE, rate=D("0.01")),))
    assert [refusal.cause for refusal in rules.check(at_one, later, load())] == ["RATE-LEVY-OF-DAY"]


def test_all_refusals_come_at_once() -> None:
    """Three mistakes, three answers."""
    one = draft(buyer=Buyer("<b>", "91500102563638729E"), drawer="")
    assert {cause for cause, _ in causes(one)} == {"TEXT-ANGLE-BRACKET", "TITLE-ID-CHECKSUM", "TEXT-EMPTY"}


def test_every_cause_of_a_draft_is_tried_here() -> None:
    """A cause without a case that makes it fire would be a rule without a test."""
    import tomllib
    from importlib import resources

    text = (resources.files("piaoma.invoice") / "causes" / "draft.toml").read_text(encoding="utf-8")
    tried = {cause for _, cause, _ in ILLEGAL} | {"LINE-CODE-SUMMARY", "AMOUNT-EMPTY"}
    tried |= {"FIGURES-DISAGREE"}  # in test_figures.py: no draft that passes the rules has it
    assert set(tomllib.loads(text)) <= tried
