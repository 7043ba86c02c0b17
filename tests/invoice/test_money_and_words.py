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
        ("(负数)伍佰圆整", "-500"), ("⊗ 伍拾捌圆整", "58"), ("壹万亿圆整", "1000000000000"),
    ],
)  # fmt: skip
def test_every_form_that_occurs_is_read(words: str, yuan: str) -> None:
    """元 and 正, 角 without 整, 分 without 零."""
    assert from_words(words) == Decimal(yuan)


@pytest.mark.parametrize("words", ["", "伍拾捌", "58", "圆", "整", "五十八圆整", "伍拾捌圆整整"])
def test_what_is_no_amount_is_not_read(words: str) -> None:
    """Nothing is guessed."""
    assert from_words(words) is None


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
    ],
)  # fmt: skip
def test_a_wrong_amount_is_refused_with_its_cause(typed: str, cause: str) -> None:
    """Each kind of mistake has its own cause."""
    with pytest.raises(Refused) as caught:
        parse_amount(typed)
    assert caught.value.refusals[0].cause == cause
