"""Taxpayer ids and pasted titles."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from stdnum.cn import uscc

from piaoma.invoice import taxpayer_id
from piaoma.invoice.title_text import parse_title_text

VALID = ["91110000600037341L", "91110108690017781B", "92330781MA2EDMFU50", "913205830880018839"]


@pytest.mark.parametrize("text", VALID)
def test_a_valid_id_passes(text: str) -> None:
    """The valid examples of einvoice.md §5."""
    assert taxpayer_id.check(text, "f") is None


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("91500102563638729E", "TITLE-ID-CHECKSUM"), ("9111010869001778", None), ("91110108690017", "TITLE-ID-LENGTH"),
        ("911101086900177", None), ("91110108690017781", None), ("91110108690017781B00", None),
        ("91110108690017781B001", "TITLE-ID-LENGTH"), ("9111010869001778①B", "TITLE-ID-CHARACTER"),
        ("91110108690071781B", "TITLE-ID-CHECKSUM"),
    ],
)  # fmt: skip
def test_a_wrong_id_is_refused_with_its_cause(text: str, cause: str | None) -> None:
    """Form, length and checksum; older lengths cannot be checked further."""
    refusal = taxpayer_id.check(text, "f")
    assert (refusal and refusal.cause) == cause


def test_exchanged_neighbours_are_named() -> None:
    """The commonest slip is told, not only that something is wrong."""
    refusal = taxpayer_id.check("91110108690071781B", "f")
    assert refusal is not None
    assert refusal.values == {"place": "13–14", "suspect": "71"}


@given(st.text(alphabet=taxpayer_id.ALPHABET, min_size=17, max_size=17))
def test_our_check_character_is_the_standards(text: str) -> None:
    """Against a library that we did not write."""
    assert taxpayer_id.check_character(text) == uscc.calc_check_digit(text)


def test_look_alikes_are_repaired_only_when_that_mends_the_id() -> None:
    """O for 0 and I for 1."""
    assert taxpayer_id.repair("911IO1O8690017781B") == "91110108690017781B"
    assert taxpayer_id.repair("911IO1O8690017781C") is None


@pytest.mark.parametrize(
    ("text", "card"),
    [
        ("11010519491231002X", True), ("110105194912310038", True),
        ("110105194912310021", False),  # its check
        ("110105194913310021", False), ("110105194902300012", False),  # a month and a day that are none
        ("11010519491231002x", False), ("1101051949123100", False), ("", False),
        *((valid, False) for valid in VALID),
    ],
)  # fmt: skip
def test_an_id_card_is_told_from_a_company(text: str, card: bool) -> None:
    """A check character that holds and a birthday; what is a credit code is none, though it has digits only."""
    assert taxpayer_id.is_id_card(text) is card


def test_an_id_card_passes_as_an_id() -> None:
    """Ending in a digit or in X: traders were registered under theirs. One with a wrong check is refused (control)."""
    assert taxpayer_id.check("11010519491231002X", "f") is None
    assert taxpayer_id.check("110105194912310038", "f") is None
    refusal = taxpayer_id.check("110105194912310021", "f")
    assert refusal is not None and refusal.cause == "TITLE-ID-CHECKSUM"


def test_a_stranger_sees_a_masked_name() -> None:
    """First character and kind of company."""
    assert taxpayer_id.mask_name("武汉某某科技有限公司") == "武****公司"


BLOCKS = [
    "名称：{n}\n税号：{i}\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{c}",
    "{n}\n{i}\n{a}\n{p}\n{b}\n{c}",
    "单位名称:{n}\n纳税人识别号:{i}\n地址、电话:{a} {p}\n开户行及账号:{b} {c}",
    "公司名称：{n}，税号：{i}，地址：{a}，电话：{p}，开户行：{b}，账号：{c}",
    "名称: {n}; 纳税人识别号: {i}; 地址: {a}; 电话: {p}; 开户银行: {b}; 银行账号: {c}",
    "发票抬头：{n}\n统一社会信用代码：{i}\n注册地址：{a}\n注册电话：{p}\n开户银行：{b}\n银行账户：{c}",
    "购买方名称：{n}\n统一社会信用代码/纳税人识别号：{i}\n地址：{a}\n电话：{p}\n开户行：{b}\n帐号：{c}",
    "税号：{i}\n名称：{n}\n账号：{c}\n开户行：{b}\n电话：{p}\n地址：{a}",
    "【开票信息】\n名称：{n}\n税号：{i}\n地址电话：{a}{p}\n开户行账号：{b}{c}",
    "1. 名称：{n}\n2. 税号：{i}\n3. 地址：{a}\n4. 电话：{p}\n5. 开户行：{b}\n6. 账号：{c}",
    "公司抬头: {n} 税号: {i} 地址: {a} 电话: {p} 开户行: {b} 账号: {c}",
    "企业名称：{n}\r\n税务登记号：{i}\r\n企业地址：{a}\r\n联系电话：{p}\r\n开户行名称：{b}\r\n对公账号：{c}",
    "名称：{n}\n\n税号：{i}\n\n地址：{a}\n\n电话：{p}\n\n开户行：{b}\n\n账号：{c}\n",
    "名　称：{n}\n税　号：{i}\n地　址：{a}\n电　话：{p}\n开户行：{b}\n账　号：{c}",
    "{n} {i}\n{a} {p}\n{b} {c}",
    "名称：{n}\n税号：{s}\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{c}",
    "抬头：{n}\n税号：{l}\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{d}",
    "名称\t{n}\n税号\t{i}\n地址\t{a}\n电话\t{p}\n开户行\t{b}\n账号\t{c}",
    "开票名称：{n}\n税号：{i}\n开票地址：{a}\n开票电话：{p}\n基本开户行：{b}\n账户：{c}",
    "请开：{n}\n税号：{i}\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{c}\n谢谢",
]


@pytest.mark.parametrize("form", BLOCKS)
def test_a_pasted_block_fills_the_fields(form: str) -> None:
    """Twenty shapes in which companies send their title: name and id always, the rest wherever it is labelled."""
    values = {
        "n": "武汉某某科技有限公司", "i": VALID[1], "s": "9111 0108 6900 1778 1B", "l": VALID[1].lower(),
        "a": "武汉市洪山区测试路1号2栋302室", "p": "027-12345678", "b": "测试银行武汉支行", "c": "4200123456789012345",
        "d": "4200 1234 5678 9012 345",
    }  # fmt: skip
    found = parse_title_text(form.format(**values))
    assert (found.name, found.taxpayer_id) == (values["n"], values["i"])
    assert (found.address, found.phone, found.bank, found.account) == tuple(values[key] for key in "apbc")


def test_what_is_not_said_stays_empty() -> None:
    """Nothing is guessed from a bare name."""
    found = parse_title_text("武汉某某科技有限公司")
    assert found.name == "武汉某某科技有限公司"
    assert not (found.taxpayer_id or found.address or found.phone or found.bank or found.account)


@given(st.text(max_size=400))
def test_any_text_is_read_without_a_fault(text: str) -> None:
    """Garbage gives empty fields, never an exception."""
    parse_title_text(text)
