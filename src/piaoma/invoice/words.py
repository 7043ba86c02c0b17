"""Amounts in words (大写), as real 数电票 write them: one form is written, every form that occurs is read.

Source: einvoice.md §4 [C]. Written: 圆, 圆整, 零X分, X角整. Read as well: 元 and 正, 角 without 整, 分 without 零.
"""

from __future__ import annotations

import re
from decimal import Decimal

from .money import FEN, from_fen, to_fen

_DIGITS = "零壹贰叁肆伍陆柒捌玖"
_PLACES = ("", "拾", "佰", "仟")
_GROUPS = ("", "万", "亿", "万")  # the fourth is 万 of 亿; 16 digits of yuan are enough
NEGATIVE = "（负数）"
WORDS_MAX = Decimal("9999999999999999.99")

_VALUE = {digit: value for value, digit in enumerate(_DIGITS)} | {"〇": 0, "两": 2, "陸": 6}
_PLACE_VALUE = {"拾": 10, "佰": 100, "仟": 1000}
_WORDS = re.compile(
    r"(?P<yuan>[零〇壹贰叁肆伍陆柒捌玖两陸拾佰仟万亿]+)?(?:圆)?(?:(?P<jiao>.)角)?(?:零?(?P<fen>.)分)?整?"
)


def to_words(yuan: Decimal) -> str:
    """``Decimal("58.00")`` as 伍拾捌圆整. Negative amounts begin with （负数）."""
    assert abs(yuan) <= WORDS_MAX, "amount beyond what words are written for"
    fen = to_fen(yuan.quantize(FEN))
    sign = NEGATIVE if fen < 0 else ""
    whole, rest = divmod(abs(fen), 100)
    jiao, last = divmod(rest, 10)
    yuan_words = _integer(whole) + "圆" if whole or not rest else ""
    if not rest:
        return f"{sign}{yuan_words}整"
    if not last:
        return f"{sign}{yuan_words}{_DIGITS[jiao]}角整"
    between = f"{_DIGITS[jiao]}角" if jiao else ("零" if whole else "")
    return f"{sign}{yuan_words}{between}{_DIGITS[last]}分"


def _integer(value: int) -> str:
    """A whole number in words: groups of four digits, one 零 for each run of zeros between digits."""
    if value == 0:
        return "零"
    words = ""
    gap = False  # a zero stands between what was written and what comes
    for group in range((len(str(value)) - 1) // 4, -1, -1):
        part = value // 10_000**group % 10_000
        if part == 0:
            gap = bool(words)
            # 1,0000,0000,0000 is 壹万亿; the 万 and the 亿 of the group name close it even when 亿's own part is zero.
            if group == 2 and value >= 10**12:
                words += "亿"
            continue
        if words and (gap or part < 1000):
            words += "零"
        gap = False
        words += _part(part) + _GROUPS[group]
    return words


def _part(value: int) -> str:
    """1 … 9999 in words."""
    words = ""
    zero = False
    for place in range(3, -1, -1):
        digit = value // 10**place % 10
        if digit:
            words += ("零" if zero and words else "") + _DIGITS[digit] + _PLACES[place]
            zero = False
        else:
            zero = True
    return words


def from_words(words: str) -> Decimal | None:
    """The amount that words name, or None when they are no amount. Reads every form that occurs on real invoices."""
    text = words.strip().replace("元", "圆").replace("正", "整").replace("⊗", "").replace(" ", "")
    text = text.replace("(", "（").replace(")", "）")
    sign = 1
    for mark in (NEGATIVE, "负"):
        if text.startswith(mark):
            sign, text = -1, text[len(mark) :]
    match = _WORDS.fullmatch(text)
    if not text or match is None or ("圆" not in text and match["yuan"]):
        return None
    whole = _read_integer(match["yuan"]) if match["yuan"] else 0
    jiao = _VALUE.get(match["jiao"], -1) if match["jiao"] else 0
    fen = _VALUE.get(match["fen"], -1) if match["fen"] else 0
    if whole is None or jiao < 0 or fen < 0 or not (match["yuan"] or match["jiao"] or match["fen"]):
        return None
    return from_fen(sign * (whole * 100 + jiao * 10 + fen))


def _read_integer(words: str) -> int | None:
    """Words of a whole number; None when places stand in an order that no number has."""
    total, section, digit = 0, 0, 0
    for letter in words:
        if letter in _VALUE:
            digit = _VALUE[letter]
        elif letter in _PLACE_VALUE:
            section += (digit or 1) * _PLACE_VALUE[letter]
            digit = 0
        elif letter == "万":
            total = total // 10**8 * 10**8 + (total % 10**8 + section + digit) * 10**4
            section = digit = 0
        else:
            total, section, digit = (total + section + digit) * 10**8, 0, 0
    return total + section + digit
