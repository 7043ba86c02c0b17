"""Finding by pinyin initials, and names that say too little: what people type, and what stands on their paper."""

from __future__ import annotations

import pytest

from piaoma.invoice.initials import READINGS_MAX, initials
from piaoma.invoice.vague import is_vague


@pytest.mark.parametrize(
    ("name", "typed"),
    [("武汉某某科技有限公司", "whmmkj"), ("重庆银行", "cqyh"), ("长江航运", "cjhy"), ("厦门测试", "xmcs"),
     ("Ａ4 打印纸", "a4dyz"), ("乐行音乐", "lx"), ("ABC-12", "abc12"), ("曾氏餐饮", "zscy"), ("龘", "")],
)  # fmt: skip
def test_a_name_is_found_by_its_initials(name: str, typed: str) -> None:
    """Characters with several sounds by each of them; letters and digits as they stand."""
    assert typed in initials(name)


def test_a_long_name_of_many_sounds_has_few_readings() -> None:
    """Every character doubles the readings: they are bounded, and so is the work."""
    assert len(initials("长重行乐" * 20).split()) == READINGS_MAX
    assert initials("") == initials("🙂（）") == ""


@pytest.mark.parametrize(
    "name", ["商品", "办公用品", "办公用品一批", "详见清单", "详见销货清单", "食品 一批", "服务费", "（详见附件）"]
)
def test_a_name_that_leaves_open_what_was_sold_is_vague(name: str) -> None:
    """The words that receivers send back."""
    assert is_vague(name)


@pytest.mark.parametrize(
    "name", ["餐费", "A4 打印纸", "设计服务", "住宿费", "食品机械", "办公用品柜", "商品房租金", "礼品袋"]
)
def test_a_name_that_says_something_is_not(name: str) -> None:
    """Also where it holds a vague word."""
    assert not is_vague(name)
