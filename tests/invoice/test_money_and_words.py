"""Amounts and their words."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piaoma.invoice.money import format_yuan, from_fen, parse_amount, to_fen
from piaoma.invoice.refusal import Refused
from piaoma.invoice.words import from_words, to_words


@given(st.integers(min_value=-99_999_999_999_999, max_value=99_999_999_999_999))
def test_words_are_the_amount_again(fen: int) -> None:
    """Every amount to 999,999,999,999.99, red ones too, survives writing and reading in words."""
    assert from_words(to_words(from_fen(fen))) == from_fen(fen)


@pytest.mark.parametrize(
    ("yuan", "words"),
    [
        ("4449", "肆仟肆佰肆拾玖圆整"),
        ("10", "壹拾圆整"),
        ("343.05", "叁佰肆拾叁圆零伍分"),
        ("71.59", "柒拾壹圆伍角玖分"),
        ("250044.74", "贰拾伍万零肆拾肆圆柒角肆分"),
        ("2.12", "贰圆壹角贰分"),
        ("-500", "（负数）伍佰圆整"),
    ],
)
def test_words_are_written_as_on_real_invoices(yuan: str, words: str) -> None:
    """The examples of einvoice.md §4, letter by letter."""
    assert to_words(Decimal(yuan)) == words


@pytest.mark.parametrize(
    ("words", "yuan"),
    [
        ("伍拾捌元整", "58"), ("伍拾捌圆正", "58"), ("玖角", "0.90"), ("捌角整", "0.80"), ("伍圆叁分", "5.03"),
        ("(负数)伍佰圆整", "-500"), ("⊗ 伍拾捌圆整", "58"), ("壹万亿圆整", "1000000000000"), ("负伍佰圆整", "-500"),
        ("伍拾捌圆零角零分", "58"), ("伍圆零角叁分", "5.03"), ("零圆伍分", "0.05"), ("零伍分", "0.05"), ("零圆整", "0"),
        ("伍拾捌圆", "58"), ("伍拾捌圆零伍角", "58.50"), ("拾伍圆整", "15"), ("貳佰圓正", "200"),
        ("壹拾万零柒仟圆零伍角叁分", "107000.53"), ("壹拾万柒仟圆伍角叁分", "107000.53"),
        ("壹仟陆佰捌拾圆叁角贰分", "1680.32"),
    ],
)  # fmt: skip
def test_every_form_that_occurs_is_read(words: str, yuan: str) -> None:
    """元 and 正, 角 without 整, 分 without 零."""
    assert from_words(words) == Decimal(yuan)


@pytest.mark.parametrize(
    "words",
    [
        "", "伍拾捌", "58", "圆", "整", "五十八圆整", "伍拾捌圆整整", "玖玖伍拾捌圆整", "万圆整", "亿圆整",
        "壹佰壹佰圆整", "壹拾壹仟圆整", "壹贰叁圆整", "零零零圆整", "壹万壹万圆整", "圆伍角", "伍拾捌圆零",
        "（负数）（负数）伍圆整", "负零圆整", "负（负数）伍圆整", "零角", "壹佰伍圆整", "壹仟伍拾圆整", "壹万伍佰圆整",
        "伍零圆整", "伍角零叁分", "角", "伍圆叁", "亿" * 99, "玖" * 10_000, "玖仟亿亿圆整",
    ],
)  # fmt: skip
def test_what_is_no_amount_is_not_read(words: str) -> None:
    """Nothing is guessed: words in an order that no amount has are none, however much sense a part of them makes."""
    assert from_words(words) is None


@given(st.text(alphabet="零壹贰叁玖拾佰仟万亿圆角分整负", max_size=14))
def test_words_that_are_read_are_those_of_their_amount(words: str) -> None:
    """Whatever is read and written again says the same, but for 零 and 整: no digit and no place is passed over."""
    amount = from_words(words)
    if amount is not None:
        assert [c for c in to_words(amount) if c in "贰叁玖佰仟万亿"] == [c for c in words if c in "贰叁玖佰仟万亿"]


@given(st.integers(min_value=1, max_value=999_999_999_999_999))
def test_an_amount_is_read_as_it_is_shown(fen: int) -> None:
    """What we print, with its commas, can be typed in again."""
    assert to_fen(parse_amount(format_yuan(from_fen(fen)))) == fen


@pytest.mark.parametrize("typed", ["58", "58.00", "￥58", "¥58.0", "５８", "58 元", " 58 ", "58.", "0058"])
def test_amounts_are_read_as_people_type_them(typed: str) -> None:
    """Signs, full-width digits, blanks."""
    assert parse_amount(typed) == Decimal("58.00")


@pytest.mark.parametrize(
    ("typed", "cause"),
    [
        ("", "AMOUNT-EMPTY"), ("abc", "AMOUNT-NOT-A-NUMBER"), ("NaN", "AMOUNT-NOT-A-NUMBER"),
        ("Infinity", "AMOUNT-NOT-A-NUMBER"), ("1e5", "AMOUNT-NOT-A-NUMBER"), ("1,2,3", "AMOUNT-NOT-A-NUMBER"),
        (".", "AMOUNT-NOT-A-NUMBER"), ("-1", "AMOUNT-NOT-POSITIVE"), ("0", "AMOUNT-NOT-POSITIVE"),
        ("1.005", "AMOUNT-DECIMALS"), ("99999999999999", "AMOUNT-TOO-LARGE"), ("9" * 100, "AMOUNT-NOT-A-NUMBER"),
        ("9" * 38, "AMOUNT-TOO-LARGE"), ("9" * 20 + "." + "9" * 19, "AMOUNT-DECIMALS"),
    ],
)  # fmt: skip
def test_a_wrong_amount_is_refused_with_its_cause(typed: str, cause: str) -> None:
    """Each kind of mistake has its own cause."""
    with pytest.raises(Refused) as caught:
        parse_amount(typed)
    assert caught.value.refusals[0].cause == cause
