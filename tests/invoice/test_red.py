"""Red invoices: never more than the blue one gave, whatever came before; the form moves only where it may."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piaoma.invoice import original, red, totals
from piaoma.invoice.classification import load
from piaoma.invoice.draft import Line, LineKind
from piaoma.invoice.inspect import inspect
from piaoma.invoice.issued import IssuedInvoice
from piaoma.invoice.lines import price_line
from piaoma.invoice.original_reader import read
from piaoma.invoice.red import BlueState, RedDraft, RedLine
from piaoma.invoice.red_form import (
    FINAL,
    ISSUABLE,
    PENDING,
    RedFormState,
    RedReason,
    Side,
    confirm_until,
    first_state,
    may_follow,
)
from piaoma.invoice.rules.red import check_red
from tests.invoice.test_rules import CODE, DRAFT, TODAY

D = Decimal
AT = datetime(2026, 11, 24, 12, 31, 5, tzinfo=ZoneInfo("Asia/Shanghai"))
FORM = "42000026110000000001"
NUMBER, RED_NUMBER = "26990000000000000001", "26990000000000000002"
OPEN = RedFormState.NO_CONFIRMATION


def blue_of(*lines: Line) -> IssuedInvoice:
    draft = msgspec.structs.replace(DRAFT, lines=lines)
    priced, sums = totals.price(draft, TODAY, load())
    return totals.invoice_of(draft, priced, sums, NUMBER, AT, original.SANDBOX_BUREAU)


MEAL = Line("餐费", CODE, D("0.06"), D("106.00"), D(4), D("26.5"), unit="份")
TEA = Line("茶位费", CODE, D("0.06"), D("58.00"))
DISCOUNTED = msgspec.structs.replace(TEA, kind=LineKind.DISCOUNTED)
DISCOUNT = msgspec.structs.replace(TEA, kind=LineKind.DISCOUNT, amount=D("-8.00"))
BLUE = blue_of(MEAL, DISCOUNTED, DISCOUNT)


def red_draft(*lines: RedLine, blue: IssuedInvoice = BLUE, **changes: Any) -> RedDraft:
    one = RedDraft(blue, RedReason.RETURNED, lines or red.whole(blue), FORM, "张某")
    return msgspec.structs.replace(one, **changes)


def causes(draft: RedDraft, *earlier: RedLine, state: RedFormState = OPEN, used: bool = True) -> list[tuple[str, str]]:
    found = check_red(draft, state, earlier, used=used)
    for refusal in found:
        assert refusal.what("zh") and refusal.what("en") and refusal.remedy("zh") and refusal.remedy("en")
    return [(refusal.cause, refusal.field) for refusal in found]


def test_an_item_and_its_discount_are_taken_back_as_one() -> None:
    """A red invoice has plain lines only: two for three, the second less its discount."""
    assert red.whole(BLUE) == (
        RedLine(0, D("-100.00"), D("-6.00"), D(-4)),
        RedLine(1, D("-47.17"), D("-2.83")),
    )
    assert causes(red_draft()) == []


def test_the_red_original_says_what_real_ones_say() -> None:
    """N, negative amounts, words in brackets, the blue number and the form's, in remark and element; and it is read."""
    invoice = red.red_invoice_of(red_draft(remark="退货"), RED_NUMBER, AT, original.SANDBOX_BUREAU)
    data = original.assemble(original.compose(invoice), b"0", ())
    text = data.decode()
    assert "<InIssuType><LabelCode>N</LabelCode>" in text
    assert "（负数）壹佰伍拾陆圆整" in text and "<TotalTax-includedAmount>-156.00<" in text
    assert f"<OriginalInvoiceCode>{NUMBER}</OriginalInvoiceCode><CreditNoteNumber>{FORM}<" in text
    assert f"被红冲蓝字数电票号码：{NUMBER} 红字发票信息确认单编号：{FORM} 退货" in text
    again = read(data)
    assert msgspec.structs.replace(again, signature=None) == invoice
    assert inspect(again) == []


BROKEN = {
    "more than the item": (red_draft(RedLine(0, D("-100.01"), D("-6.00"))), "RED-EXCEEDS", "lines[0].amount"),
    "more tax": (red_draft(RedLine(0, D("-100.00"), D("-6.01"))), "RED-EXCEEDS", "lines[0].tax"),
    "a positive amount": (red_draft(RedLine(0, D("1.00"), D("0.06"))), "RED-NOT-NEGATIVE", "lines[0].amount"),
    "nothing": (red_draft(RedLine(0, D("0.00"), D("0.00"))), "RED-NOT-NEGATIVE", "lines[0].amount"),
    "a third of a fen": (red_draft(RedLine(0, D("-1.003"), D("-0.06"))), "AMOUNT-DECIMALS", "lines[0].amount"),
    "no number": (red_draft(RedLine(0, D("NaN"), D("0"))), "AMOUNT-NOT-A-NUMBER", "lines[0].amount"),
    "tax of another rate": (red_draft(RedLine(0, D("-50.00"), D("-1.50"))), "RED-TAX", "lines[0].tax"),
    "too many": (red_draft(RedLine(0, D("-50.00"), D("-3.00"), D(-5))), "RED-QUANTITY", "lines[0].quantity"),
    "a quantity of none": (red_draft(RedLine(1, D("-10.00"), D("-0.60"), D(-1))), "RED-QUANTITY", "lines[0].quantity"),
    "the discount": (red_draft(RedLine(2, D("-1.00"), D("-0.06"))), "RED-LINE-UNKNOWN", "lines[0].place"),
    "an item twice": (red_draft(*[RedLine(0, D("-1.00"), D("-0.06"))] * 2), "RED-LINE-TWICE", "lines[1].place"),
    "no form": (red_draft(form_number=""), "TEXT-EMPTY", "form_number"),
    "no drawer": (red_draft(drawer=""), "TEXT-EMPTY", "drawer"),
    "brackets": (red_draft(remark="<b>"), "TEXT-ANGLE-BRACKET", "remark"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule_is_refused_alone(name: str) -> None:
    """Each with its own cause at its own field."""
    draft, cause, field = BROKEN[name]
    assert causes(draft) == [(cause, field)]


def test_nothing_and_a_red_one_cannot_be_corrected() -> None:
    """No lines; the correction of a correction."""
    assert causes(red_draft(lines=())) == [("LINES-NONE", "lines")]
    invoice = red.red_invoice_of(red_draft(), RED_NUMBER, AT, original.SANDBOX_BUREAU)
    assert causes(msgspec.structs.replace(red_draft(), blue=invoice)) == [("RED-OF-RED", "blue")]


def test_before_it_is_used_only_the_whole_is_taken_back() -> None:
    """A part is refused until the buyer has confirmed its use or booked it; the whole never is."""
    part = red_draft(RedLine(0, D("-50.00"), D("-3.00"), D(-2)))
    assert causes(part, used=False) == [("RED-ONLY-WHOLE", "lines")]
    assert causes(part, used=True) == []
    assert causes(red_draft(), used=False) == []


@pytest.mark.parametrize("state", RedFormState)
def test_only_a_confirmed_form_can_be_invoiced(state: RedFormState) -> None:
    """01 and 04, none of the other eleven."""
    expected = [] if state.value in ("01", "04") else [("RED-FORM-STATE", "form")]
    assert causes(red_draft(), state=state) == expected


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1), st.integers(1, 12_000)), max_size=12))
def test_red_sums_never_exceed_the_blue(parts: list[tuple[int, int]]) -> None:
    """Parts of any size, one after the other: whatever the rules let pass, amount and tax of each item stay within the
    blue one's; what is left can be taken back to the fen."""
    earlier: list[RedLine] = []
    for place, fen in parts:
        amount = D(fen).scaleb(-2)
        line = RedLine(place, -amount, -(amount * D("0.06")).quantize(D("0.01")))
        if not check_red(red_draft(line), OPEN, earlier, used=True):
            earlier.append(line)
        assert all(amount >= 0 and tax >= 0 for amount, tax in red.left(BLUE, earlier).values())
    rest = red.whole(BLUE, earlier)
    if rest:
        assert check_red(red_draft(*rest), OPEN, earlier, used=False) == []
    assert red.blue_state(BLUE, [*earlier, *rest]) is BlueState.RED
    if earlier and rest:
        assert red.blue_state(BLUE, earlier) is BlueState.PARTLY_RED
    assert red.blue_state(BLUE, []) is BlueState.NORMAL


def test_without_the_earlier_ones_the_sums_would_exceed() -> None:
    """Negative control: the same part twice passes when nobody says what was taken back already."""
    most = RedLine(0, D("-60.00"), D("-3.60"))
    assert causes(red_draft(most)) == []
    assert ("RED-EXCEEDS", "lines[0].amount") in causes(red_draft(most), most)
    twice = red.left(BLUE, [most, most])
    assert twice[0][0] < 0


def test_the_thirteen_states() -> None:
    """Two can be invoiced, two wait, nine are final; who raises it decides where it begins; 72 hours."""
    assert len(RedFormState) == 13 and len(FINAL) == 9
    assert {state.value for state in ISSUABLE} == {"01", "04"} and {state.value for state in PENDING} == {"02", "03"}
    assert first_state(Side.SELLER, used=False) is RedFormState.NO_CONFIRMATION
    assert first_state(Side.SELLER, used=True) is RedFormState.AWAITING_BUYER
    assert first_state(Side.BUYER, used=True) is RedFormState.AWAITING_SELLER
    assert confirm_until(AT) - AT == timedelta(hours=72)


@pytest.mark.parametrize("state", RedFormState)
def test_a_form_moves_only_where_it_may(state: RedFormState) -> None:
    """What is final stays; what waits can be confirmed, denied by the other side, withdrawn or run out of time."""
    following = {other for other in RedFormState if may_follow(state, other)}
    assert state not in following and RedFormState.NO_CONFIRMATION not in following
    if state in FINAL:
        assert following == set()
    if state in PENDING:
        denial = {"02": RedFormState.BUYER_DENIED, "03": RedFormState.SELLER_DENIED}[state.value]
        assert {RedFormState.CONFIRMED, denial, RedFormState.TIMED_OUT, RedFormState.WITHDRAWN} <= following
    else:
        assert RedFormState.TIMED_OUT not in following


@settings(max_examples=200, deadline=None)
@given(
    st.integers(1, 100_000), st.sampled_from(["0.13", "0.09", "0.06", "0.03", "0.01", "0"]),
    st.lists(st.integers(1, 60_000), max_size=8),
)  # fmt: skip
def test_sums_given_back_become_legal_red_lines(total: int, rate: str, parts: list[int]) -> None:
    """Tax-inclusive sums of any size, one after the other, and then the rest: each is a line that the rules let pass,
    and together they are the item to the fen."""
    line = Line("餐费", CODE, D(rate), D(total).scaleb(-2))
    one = msgspec.structs.replace(blue_of(TEA), lines=(price_line(line, DRAFT, "*餐饮服务*餐费"),))
    earlier: list[RedLine] = []
    for fen in [*parts, None]:
        rest = red.left(one, earlier)[0]
        inclusive = sum(rest) if fen is None else min(D(fen).scaleb(-2), sum(rest))
        if not inclusive:
            continue
        made = RedLine(0, *red.share(red.items(one)[0], rest, inclusive))
        assert made.amount + made.tax == -inclusive
        found = check_red(red_draft(made, blue=one), OPEN, earlier, used=True)
        # A fen or two can be all tax or none of it: then there is no line to write, and the rules say so.
        if [refusal.cause for refusal in found] in ([], ["RED-NOT-NEGATIVE"]):
            earlier += [] if found else [made]
        else:
            raise AssertionError(found)
    amount, tax = red.left(one, earlier)[0]
    assert amount + tax <= D("0.08")


def test_a_red_invoice_is_worked_out_as_any_other() -> None:
    """Its draft, priced lines and totals give the invoice; a deduction that the blue one states is stated again."""
    draft = red_draft()
    made = red.draft_of(draft)
    assert [line.name for line in made.lines] == ["餐费", "茶位费"] and made.remark.startswith("被红冲蓝字数电票号码")
    blue = msgspec.structs.replace(BLUE, remark="差额征税：20.00 元。 谢谢")
    assert red.draft_of(red_draft(blue=blue)).remark.startswith("差额征税：20.00 元。 被红冲蓝字数电票号码")
