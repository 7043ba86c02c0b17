"""Pasted titles (抬头): the shapes in which people really send them, and what must not be made of them."""

from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from piaoma.invoice.parties import Buyer
from piaoma.invoice.title_text import parse_title_text

ID = "91420100MA4K00000Q"
WHOLE = Buyer(
    "武汉某某科技有限公司", ID, "武汉市洪山区珞喻路1号2栋302室", "027-87654321", "中国工商银行武汉江汉支行",
    "3202001234567890123",
)  # fmt: skip
PLACES = {
    "n": WHOLE.name, "i": ID, "a": WHOLE.address, "p": WHOLE.phone, "b": WHOLE.bank, "c": WHOLE.account,
    "s": "9142 0100 MA4K 0000 0Q", "l": ID.lower(), "d": "3202 0012 3456 7890 123", "h": "3202-0012-3456-7890-123",
    "w": "９１４２０１００ＭＡ４Ｋ０００００Ｑ",
}  # fmt: skip

SHAPES = {
    "wechat": "名称：{n}\n税号：{i}\n单位地址：{a}\n电话号码：{p}\n开户银行：{b}\n银行账户：{c}",
    "wechat in one line": "名称：{n} 税号：{i} 单位地址：{a} 电话号码：{p} 开户银行：{b} 银行账户：{c}",
    "alipay": "发票抬头：{n}\n税号：{i}\n公司地址：{a}\n公司电话：{p}\n公司开户行：{b}\n公司账号：{c}",
    "heading in brackets, circled numbers": (
        "【开票资料】\n①名称：{n}\n②税号：{i}\n③地址：{a}"
        "\n④电话：{p}\n⑤开户行：{b}\n⑥账号：{c}"
    ),
    "numbers with dots": "开票信息：\n1.名称：{n}\n2.税号：{i}\n3.地址：{a}\n4.电话：{p}\n5.开户行：{b}\n6.账号：{c}",
    "chinese numbers": "一、名称：{n}\n二、税号：{i}\n三、地址：{a}\n四、电话：{p}\n五、开户行：{b}\n六、账号：{c}",
    "bullets": "· 名称：{n}\n· 税号：{i}\n· 地址：{a}\n· 电话：{p}\n· 开户行：{b}\n· 账号：{c}",
    "thanks behind the last": "名称：{n}\n税号：{i}\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{c}，谢谢！",
    "thanks behind each": "名称：{n}，谢谢\n税号：{i}，谢谢\n地址：{a}\n电话：{p} 谢谢\n开户行：{b}\n账号：{c} 谢谢",
    "a greeting": "您好，麻烦开票：{n}，税号{i}，地址{a}，电话{p}，开户行{b}，账号{c}，辛苦了~",
    "please invoice": "请开：{n}\n税号：{i}\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{c}\n谢谢",
    "id in brackets": "{n}（统一社会信用代码 {i}）\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{c}",
    "id in brackets with a colon": "{n}(税号：{i})\n地址：{a}，电话：{p}\n开户行：{b}，账号：{c}",
    "run together": "名称{n}税号{i}地址{a}电话{p}开户行{b}账号{c}",
    "run together with colons": "名称：{n}纳税人识别号：{i}地址：{a}电话：{p}开户行：{b}账号：{c}",
    "run together, long labels": (
        "单位名称：{n}统一社会信用代码：{i}注册地址：{a}"
        "联系电话：{p}开户银行：{b}银行账号：{c}"
    ),
    "blanks for colons": "名称 {n}\n税号 {i}\n地址 {a}\n电话 {p}\n开户行 {b}\n账号 {c}",
    "bank called 银行": "名称：{n}\n税号：{i}\n地址：{a}\n电话：{p}\n银行：{b}\n卡号：{c}",
    "two in one": "购买方名称：{n}\n购买方税号：{i}\n地址、电话：{a} {p}\n开户行及账号：{b} {c}",
    "two in one, run together": "公司名称：{n}\n税号：{i}\n地址电话：{a}{p}\n开户行账号：{b}{c}",
    "phone behind the address": "名称：{n}\n税号：{i}\n地址：{a} {p}\n开户行：{b} {c}",
    "id in groups": "抬头：{n}\n税号：{s}\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{d}",
    "dashes in the account": "抬头：{n}\n税号：{l}\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{h}",
    "full width": "抬头：{n}\n税号：{w}\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{c}",
    "values below their labels": "名称：\n{n}\n税号：\n{i}\n地址：\n{a}\n电话：\n{p}\n开户行：\n{b}\n账号：\n{c}",
    "cells of a sheet": "公司名称\t{n}\n税号\t{i}\n地址\t{a}\n电话\t{p}\n开户行\t{b}\n账号\t{c}",
    "bars": "名称: {n} | 税号: {i} | 地址: {a} | 电话: {p} | 开户行: {b} | 账号: {c}",
    "semicolons": "公司：{n}；税号：{i}；地址：{a}；电话：{p}；开户行：{b}；账号：{c}",
    "equals signs": "名称={n}\n税号={i}\n地址={a}\n电话={p}\n开户行={b}\n账号={c}",
    "bare lines": "{n}\n{i}\n{a}\n{p}\n{b}\n{c}",
    "bare, other order": "{i}\n{n}\n{b} {c}\n{a} {p}",
    "in quotes": "“{n}”\n税号 {i}\n地址：{a}\n电话：{p}\n开户行：{b}\n账号：{c}",
    "required marks": (
        "名称（必填）：{n}\n税号（必填）：{i}\n地址（选填）：{a}"
        "\n电话（选填）：{p}\n开户行（选填）：{b}\n账号（选填）：{c}"
    ),
    "id first": "税务登记证号：{i}\n开户银行名称：{b}\n银行账号：{c}\n注册地址：{a}\n注册电话：{p}\n单位全称：{n}",
    "id with its other name": (
        "名称：{n}\n统一社会信用代码/纳税人识别号：{i}\n住所：{a}"
        "\n电话：{p}\n开户行：{b}\n帐号：{c}"
    ),
    "english labels": "Name: {n}\nTax ID: {i}\nAddress: {a}\nTel: {p}\nBank: {b}\nAccount No.: {c}",
    "english labels in one line": (
        "Company Name: {n} Tax No.: {i} Address: {a}"
        " Phone: {p} Bank name: {b} Bank account: {c}"
    ),
    "kind of invoice in front": "开专票：{n}，税号：{i}，地址：{a}，电话：{p}，开户行：{b}，账号：{c}",
}  # fmt: skip


@pytest.mark.parametrize("shape", SHAPES)
def test_a_title_is_understood_in_every_shape(shape: str) -> None:
    """All six fields, letter by letter, in thirty-eight shapes as companies send them."""
    assert parse_title_text(SHAPES[shape].format(**PLACES)) == WHOLE


PART = [
    ("抬头：武汉某某科技有限公司，税号：91420100MA4K00000Q，谢谢", Buyer("武汉某某科技有限公司", ID)),
    ("麻烦开票：武汉某某科技有限公司，税号91420100MA4K00000Q", Buyer("武汉某某科技有限公司", ID)),
    ("武汉某某科技有限公司（统一社会信用代码 91420100MA4K00000Q）", Buyer("武汉某某科技有限公司", ID)),
    ("开票：武汉某某（集团）有限公司 税号：91420100MA4K00000Q", Buyer("武汉某某（集团）有限公司", ID)),
    ("名称：武汉地址科技有限公司\n税号：91420100MA4K00000Q", Buyer("武汉地址科技有限公司", ID)),
    ("名称：武汉电话设备有限公司税号：91420100MA4K00000Q", Buyer("武汉电话设备有限公司", ID)),
    ("名称：\n武汉市某某科技有限公司\n税号：\n91420100MA4K00000Q", Buyer("武汉市某某科技有限公司", ID)),
    ("中国某某银行股份有限公司\n91420100MA4K00000Q", Buyer("中国某某银行股份有限公司", ID)),
    ("好的电器有限公司 91420100MA4K00000Q", Buyer("好的电器有限公司", ID)),
    ("Name: Wuhan Moumou Tech Co., Ltd.\nTax ID: 91420100MA4K00000Q", Buyer("Wuhan Moumou Tech Co., Ltd.", ID)),
    ("Wuhan Moumou Tech Co., Ltd. 91420100MA4K00000Q", Buyer("Wuhan Moumou Tech Co., Ltd.", ID)),
    ("武汉大学\n12100000707137123P", Buyer("武汉大学", "12100000707137123P")),
    ("税号：420100123456789\n名称：武汉老税号商行", Buyer("武汉老税号商行", "420100123456789")),
    ("名称：某某公司\n电话：027-12345678 转 801", Buyer("某某公司", phone="027-12345678 转 801", natural_person=True)),
    ("个人：张三", Buyer("张三", natural_person=True)),
    ("张三", Buyer("张三", natural_person=True)),
    ("阿依古丽·买买提", Buyer("阿依古丽·买买提", natural_person=True)),
    ("抬头：个人", Buyer("个人", natural_person=True)),
    ("姓名：张三\n身份证号：11010519491231002X", Buyer("张三", "11010519491231002X", natural_person=True)),
]  # fmt: skip


@pytest.mark.parametrize(("text", "title"), PART, ids=range(len(PART)))
def test_a_title_is_understood_without_the_rest(text: str, title: Buyer) -> None:
    """Name and id alone, persons, names that hold the words of labels; the other fields stay empty."""
    assert parse_title_text(text) == title


@pytest.mark.parametrize(
    "text",
    [
        "", "谢谢", "您好，请开票", "【开票资料】", "开票信息如下：", "名称：\n税号：\n",
        "名称 税号 地址 电话", "税号：", "请尽快开票，谢谢！", "税号：谢谢", "税号：12345",
        "税号：1234567890123456789012345",
        "税号：没有", "*****", "餐费 58 元", "昨天吃饭的钱能开吗",
    ],
)  # fmt: skip
def test_what_is_no_title_gives_none(text: str) -> None:
    """Headings, greetings, labels alone and numbers of no id's length: nothing is guessed (the negative control)."""
    assert parse_title_text(text) == Buyer("", natural_person=True)


LABEL = st.sampled_from(
    [
        "名称：",
        "税号",
        "税号：",
        "地址",
        "开户行：",
        "账号",
        "Tax ID: ",
        "【开票】",
        "\n",
        "，",
        " ",
        "公司",
        "银行",
        ID,
    ]
)
LABELS = st.lists(st.one_of(LABEL, st.text(max_size=8)), max_size=40).map("".join)


@given(st.one_of(st.text(max_size=300), LABELS))
def test_an_id_that_is_found_could_be_one(text: str) -> None:
    """Whatever is pasted: 15 to 20 capital letters and digits, or nothing; and never an exception."""
    found = parse_title_text(text).taxpayer_id
    assert found == "" or re.fullmatch(r"[0-9A-Z]{15,20}", found)


EVIL = [
    "1", "a ", "地址电话", "名称：", "税号 ", "(0", "12 ", "银行1", "、", "名称\t", "名 称 ", "开户行账号", "A1 ",
    "谢谢", "请，", "公司", "发票信息", "[(", "00-", "统一社会信用代码", "1、", "开户银行",
]  # fmt: skip


@pytest.mark.parametrize("unit", EVIL)
def test_no_text_takes_long_to_read(unit: str) -> None:
    """Repetitions that make careless patterns run for minutes: each is read in a fraction of a second."""
    began = time.perf_counter()
    for tail in ("", "x", "公司", "\n"):
        parse_title_text(unit * (1_990 // len(unit)) + tail)
    assert time.perf_counter() - began < 1.0
