"""The figures of an invoice: what the rules let pass is an invoice with which a stranger finds nothing wrong."""

from __future__ import annotations

import contextlib
from datetime import date, datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from piaoma.invoice import lines, original, totals
from piaoma.invoice.classification import Entry
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
)
from piaoma.invoice.inspect import TAX_TOLERANCE_SUM, inspect
from piaoma.invoice.issued import IssuedInvoice, PricedLine
from piaoma.invoice.money import AMOUNT_MAX, is_bounded, parse_amount, round_fen
from piaoma.invoice.original_reader import is_canonical, read
from piaoma.invoice.parties import Buyer, Seller, TaxpayerKind
from piaoma.invoice.refusal import Refused
from piaoma.invoice.rules import check

D = Decimal
AT = datetime(2026, 11, 24, 12, 31, 5, tzinfo=ZoneInfo("Asia/Shanghai"))
CODE = "3070401000000000000"
LINE = Line("餐费", CODE, D("0.06"), D("58.00"))
DRAFT = Draft(
    InvoiceKind.GENERAL, Seller("武汉测试餐饮有限公司", "91420100MA4K00000Q"),
    Buyer("武汉某某科技有限公司", "91110108690017781B"), (LINE,), drawer="张某",
)  # fmt: skip


class AnyRate:
    """A catalogue in which a code goes with every rate: which one is usual is not what is tried here."""

    def lookup(self, code: str, on: date) -> Entry | None:
        return Entry(code, "餐饮", "餐饮服务", (), leaf=True)


def causes(draft: Draft) -> list[str]:
    return [refusal.cause for refusal in check(draft, AT.date(), AnyRate())]


def invoice_of(draft: Draft) -> IssuedInvoice:
    priced, sums = totals.price(draft, AT.date(), AnyRate())
    return totals.invoice_of(draft, priced, sums, "26990000000000000001", AT, original.SANDBOX_BUREAU)


def written_and_read(draft: Draft) -> IssuedInvoice:
    """The whole way of an invoice, with a signature that is none."""
    invoice = invoice_of(draft)
    data = original.assemble(original.compose(invoice), b"\x30\x01\x02", [b"certificate"])
    found = read(data)
    assert msgspec.structs.replace(found, signature=None) == invoice
    assert is_canonical(data)
    return found


RATES: list[dict[str, Any]] = [
    {"rate": D(rate), "preference": mark}
    for rate, mark in (("0.13", ""), ("0.09", ""), ("0.06", "14"), ("0.03", "08"), ("0.05", "09"), ("0.015", "10"))
] + [
    {"rate": D("0.00"), "zero": ZeroKind.EXEMPT, "preference": "03"},
    {"rate": D(0), "zero": ZeroKind.UNTAXED, "preference": "04"},
    {"rate": D(0), "zero": ZeroKind.EXPORT},
    {"rate": D("0E+1"), "zero": ZeroKind.ORDINARY},
]
FEN = st.one_of(st.integers(1, 100), st.integers(1, 10**7), st.integers(1, 999_999_999_999_999))
FIGURE = st.one_of(
    st.integers(1, 1000).map(D),
    st.decimals(D("1E-13"), D("99999999999999999"), places=None, allow_nan=False, allow_infinity=False),
    st.builds(lambda digits, places: D(digits).scaleb(-places), st.integers(1, 10**16), st.integers(0, 16)),
).map(lines.fit)


@st.composite
def lines_of(draw: st.DrawFn) -> list[Line]:
    """A line with any amount, rate and quantity, and perhaps a discount."""
    amount: Decimal | None = D(draw(FEN)).scaleb(-2)
    quantity = price = None
    given_figures = draw(st.sampled_from(["none", "quantity", "price", "both"]))
    if given_figures == "both":
        amount, quantity, price = lines.complete(None, draw(FIGURE), draw(FIGURE))
    elif given_figures != "none":
        figure = draw(FIGURE)
        chosen = (figure, None) if given_figures == "quantity" else (None, figure)
        amount, quantity, price = lines.complete(amount, *chosen)
    assert amount is not None
    line = Line("餐费", CODE, amount=amount, quantity=quantity, unit_price=price, **draw(st.sampled_from(RATES)))
    if amount > 0 and draw(st.booleans()):
        off = D(draw(st.integers(1, max(1, int(amount * 100))))).scaleb(-2)
        discount = msgspec.structs.replace(line, kind=LineKind.DISCOUNT, amount=-off, quantity=None, unit_price=None)
        return [msgspec.structs.replace(line, kind=LineKind.DISCOUNTED), discount]
    return [line]


@st.composite
def drafts(draw: st.DrawFn) -> Draft:
    """Any draft whose texts are right; most of them are legal."""
    groups = draw(st.lists(lines_of(), min_size=1, max_size=3))
    times = draw(st.sampled_from([1] * 14 + [100, 700]))
    all_lines = tuple(line for group in groups for line in group) * times
    difference = None
    if len(all_lines) == 1 and draw(st.booleans()):
        part = draw(st.integers(1, 100))
        deduction = round_fen(all_lines[0].amount * part / 100)
        difference = Difference(draw(st.sampled_from(DifferenceMode)), deduction, (Deduction("01", deduction),))
    return msgspec.structs.replace(
        DRAFT,
        lines=all_lines,
        pricing=draw(st.sampled_from(Pricing)),
        difference=difference,
        remark=draw(st.sampled_from(["", "订单 7", "差额征税：20.00 元。", "差额征税"])),
        print_seller_bank=draw(st.booleans()),
    )


@settings(max_examples=500)
@given(drafts())
def test_whatever_the_rules_let_pass_is_consistent(draft: Draft) -> None:
    """Checked, priced, written, read again and inspected like a stranger's file: nothing is found, nothing raises."""
    found = causes(draft)
    event(", ".join(sorted(set(found))) or "legal")
    if not found:
        assert inspect(written_and_read(draft)) == []


@pytest.mark.parametrize("amount", ["0.01", "0.55", "9.99", "58.00", "0.08"])
@pytest.mark.parametrize("count", [224, 225, 500, 2000])
def test_equal_lines_are_issued_or_refused_for_their_drift(amount: str, count: int) -> None:
    """The tax of the lines is off from that of the whole by no more than 1.27, or the draft is refused."""
    draft = msgspec.structs.replace(DRAFT, lines=(msgspec.structs.replace(LINE, amount=D(amount)),) * count)
    found = causes(draft)
    assert found in ([], ["TAX-DRIFT"])
    if found:
        whole = sum(lines.split(D(amount), LINE.rate, Pricing.INCLUSIVE)[0] * LINE.rate for _ in range(count))
        tax = lines.split(D(amount), LINE.rate, Pricing.INCLUSIVE)[1] * count
        assert abs(whole - tax) > TAX_TOLERANCE_SUM
    else:
        assert inspect(written_and_read(draft)) == []


def test_two_thousand_lines_of_all_sorts_are_issued() -> None:
    """Rounding goes up and down: over lines that differ it cancels out, so the limit of the lines can be used."""
    many = tuple(msgspec.structs.replace(LINE, amount=D(100 + 7 * place).scaleb(-2)) for place in range(2000))
    draft = msgspec.structs.replace(DRAFT, lines=many)
    assert causes(draft) == []
    assert inspect(written_and_read(draft)) == []


def of(lines_found: tuple[PricedLine, ...]) -> IssuedInvoice:
    return msgspec.structs.replace(invoice_of(DRAFT), lines=lines_found, totals=totals.totals_of(lines_found))


def test_a_file_from_outside_may_drift_as_far_as_rounding_can() -> None:
    """2,000 equal lines of another issuer, each rounded half up, are no finding; a little more in each line is one."""
    line = invoice_of(DRAFT).lines[0]
    assert inspect(of((line,) * 2000)) == []
    off = msgspec.structs.replace(line, tax=line.tax + D("0.01"), inclusive=line.inclusive + D("0.01"))
    assert [finding.cause for finding in inspect(of((off,) * 2000))] == ["INSPECT-TAX-SUM"]
    # Within 0.06 in a line, and within 1.27 over 200 of them: not told apart from rounding.
    fair = msgspec.structs.replace(line, tax=line.tax + D("0.06"), inclusive=line.inclusive + D("0.06"))
    assert inspect(of((fair,))) == []
    assert [finding.cause for finding in inspect(of((fair,) * 200))] == ["INSPECT-TAX-SUM"]


def test_lines_that_drift_apart_do_not_add_up() -> None:
    """The signed differences are summed: one line too high and one too low are together right."""
    line = invoice_of(DRAFT).lines[0]
    shift = D("0.05")
    up = msgspec.structs.replace(line, tax=line.tax + shift, inclusive=line.inclusive + shift)
    down = msgspec.structs.replace(line, tax=line.tax - shift, inclusive=line.inclusive - shift)
    assert inspect(of((up, down) * 500)) == []


def difference(mode: DifferenceMode, deduction: str = "30.00") -> Draft:
    return msgspec.structs.replace(DRAFT, difference=Difference(mode, D(deduction)))


def test_full_and_difference_are_two_invoices() -> None:
    """全额开票 shows the tax on 58.00, 差额开票 that on the 28.00 that the deduction leaves; the remark says which."""
    full, rest = (
        written_and_read(difference(DifferenceMode.FULL)),
        written_and_read(difference(DifferenceMode.DIFFERENCE)),
    )
    assert (full.totals.amount, full.totals.tax, full.remark) == (D("54.72"), D("3.28"), "差额征税-全额开票。")
    assert (rest.totals.amount, rest.totals.tax, rest.remark) == (D("56.42"), D("1.58"), "差额征税：30.00 元。")
    assert full.totals.inclusive == rest.totals.inclusive == D("58.00")
    assert inspect(full) == inspect(rest) == []


def test_the_tax_of_a_difference_is_inspected_too() -> None:
    """A tax that agrees neither with the whole nor with what the stated deduction leaves is found, in either mode."""
    found = written_and_read(difference(DifferenceMode.DIFFERENCE))
    wrong = msgspec.structs.replace(found.lines[0], amount=D("57.42"), tax=D("0.58"))

    def findings(remark: str, line: PricedLine) -> list[str]:
        return [finding.cause for finding in inspect(msgspec.structs.replace(of((line,)), remark=remark))]

    assert findings("差额征税：30.00 元。", found.lines[0]) == []
    assert findings("差额征税：30.00 元。", wrong) == ["INSPECT-LINE-TAX"]
    assert findings("差额征税-全额开票。", found.lines[0]) == ["INSPECT-LINE-TAX", "INSPECT-TAX-SUM"]
    assert findings("", found.lines[0]) == ["INSPECT-LINE-TAX", "INSPECT-TAX-SUM"]
    # Elsewhere the deduction may not be stated: anything up to the tax on the whole is possible, and no more.
    assert findings("差额征税", wrong) == []
    over = msgspec.structs.replace(found.lines[0], amount=D("53.00"), tax=D("5.00"))
    assert findings("差额征税", over) == ["INSPECT-LINE-TAX"]


def test_figures_that_disagree_are_never_issued(monkeypatch: pytest.MonkeyPatch) -> None:
    """The last line of defence: arithmetic that goes wrong behind the rules stops the invoice, whatever went wrong."""
    assert invoice_of(DRAFT)  # the control
    right = lines.split

    def wrong(amount: Decimal, rate: Decimal, pricing: Pricing) -> tuple[Decimal, Decimal, Decimal]:
        exclusive, tax, inclusive = right(amount, rate, pricing)
        return exclusive - D("0.10"), tax + D("0.10"), inclusive

    monkeypatch.setattr(lines, "split", wrong)
    with pytest.raises(Refused) as caught:
        invoice_of(DRAFT)
    (refusal,) = caught.value.refusals
    assert (refusal.cause, refusal.field, refusal.values["have"]) == (
        "FIGURES-DISAGREE",
        "lines[0]",
        "INSPECT-LINE-TAX",
    )


def test_a_difference_that_is_passed_over_is_never_issued(monkeypatch: pytest.MonkeyPatch) -> None:
    """A tax on the whole amount is right for 全额开票 only."""
    monkeypatch.setattr(
        lines, "split_difference", lambda inclusive, _, rate: lines.split(inclusive, rate, Pricing.INCLUSIVE)
    )
    assert invoice_of(difference(DifferenceMode.FULL))  # the control
    with pytest.raises(Refused):
        invoice_of(difference(DifferenceMode.DIFFERENCE))


def test_trailing_zeros_are_written_only_as_far_as_the_form_has_room() -> None:
    """A till that sends 2.000…0 gets its invoice, and the original holds at most 17 characters of it."""
    line = msgspec.structs.replace(LINE, quantity=D("2." + "0" * 35), unit_price=D("29.00"))
    found = written_and_read(msgspec.structs.replace(DRAFT, lines=(line,), pricing=Pricing.EXCLUSIVE))
    assert (str(found.lines[0].quantity), str(found.lines[0].unit_price)) == ("2", "29.00")


ANY = st.one_of(
    st.none(),
    st.decimals(allow_nan=True, allow_infinity=True),
    st.builds(lambda digits, power: D(f"{digits}E{power}"), st.integers(-(10**45), 10**45), st.integers(-60, 60)),
    st.sampled_from(["sNaN", "-0", "1E-999999999", "-1E+999999999", "9" * 39, "1E-20", "900000000000000000000"]).map(D),
)


@settings(max_examples=1000)
@given(ANY, ANY, ANY)
def test_completing_a_line_answers_or_refuses(
    amount: Decimal | None, quantity: Decimal | None, price: Decimal | None
) -> None:
    """Three figures of any kind, as a form may send them before a rule has seen them: no exception of another kind."""
    figures = {"amount": amount, "quantity": quantity, "unit_price": price}
    beyond = [field for field, figure in figures.items() if figure is not None and not is_bounded(figure)]
    if beyond:
        with pytest.raises(Refused) as caught:
            lines.complete(amount, quantity, price)
        assert caught.value.refusals[0].field == beyond[0]
    else:
        found = lines.complete(amount, quantity, price)
        assert all(before in (None, after) for before, after in zip(figures.values(), found, strict=True))


@pytest.mark.parametrize(
    ("amount", "quantity", "price"),
    [(None, "900000000000000000000", "900000000000000000000"), ("9999999999999.99", "1E-20", None)],
)
def test_a_line_that_no_form_can_hold_is_refused_by_the_rules(
    amount: str | None, quantity: str, price: str | None
) -> None:
    """Completed without a fault, however large; then the rules say what is too long or too large."""
    figures = (D(amount) if amount else None, D(quantity), D(price) if price else None)
    whole, quantity_found, price_found = lines.complete(*figures)
    assert whole is not None
    line = msgspec.structs.replace(LINE, amount=whole, quantity=quantity_found, unit_price=price_found)
    found = causes(msgspec.structs.replace(DRAFT, lines=(line,)))
    assert found and set(found) <= {"AMOUNT-TOO-LARGE", "LINE-FIGURE-TOO-LONG", "LINE-FIGURE-DECIMALS"}


@given(st.text(alphabet="0123456789.,-+", max_size=45))
def test_an_amount_as_typed_is_read_or_refused(text: str) -> None:
    """However many digits are typed."""
    with contextlib.suppress(Refused):
        assert 0 < parse_amount(text) <= AMOUNT_MAX


def test_a_small_scale_seller_keeps_the_same_arithmetic() -> None:
    """1 %: 58.00 is 57.43 and 0.57."""
    seller = msgspec.structs.replace(DRAFT.seller, taxpayer_kind=TaxpayerKind.SMALL_SCALE)
    line = msgspec.structs.replace(LINE, rate=D("0.01"))
    found = written_and_read(msgspec.structs.replace(DRAFT, seller=seller, lines=(line,)))
    assert (found.totals.amount, found.totals.tax) == (D("57.43"), D("0.57"))
    assert inspect(found) == []
