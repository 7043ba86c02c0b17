"""Amounts in words (大写), as real 数电票 write them: one form is written, every form that occurs is read.

Source: einvoice.md §4 [C]. Written: 圆, 圆整, 零X分, X角整. Read as well: 元 and 正, 角 without 整, 分 without 零,
a 零 that the rules for bills leave to the writer, 零角 and 零分. Nothing else: words in an order that no amount has are
no amount.
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

_VALUE = {digit: value for value, digit in enumerate(_DIGITS)}
_PLACE_VALUE = {"拾": 10, "佰": 100, "仟": 1000}
_WORDS = re.compile(
    r"(?P<yuan>[零壹贰叁肆伍陆柒捌玖拾佰仟万亿]+圆)?(?:零?(?P<jiao>[零壹贰叁肆伍陆柒捌玖])角)?"
    r"(?:零?(?P<fen>[零壹贰叁肆伍陆柒捌玖])分)?整?"
)
WORDS_CHARACTERS_MAX = 80  # the longest amount takes 36

# The same characters, written in other ways.
_OTHER_CHARACTERS = str.maketrans("元圓正〇两貳陸萬億()負", "圆圆整零贰贰陆万亿（）负", "⊗ \u3000")
# What may be said or left out without changing the amount, in the order in which it is left out.
_OPTIONAL = (
    (re.compile(r"^（负数）"), "负"),
    (re.compile(r"整$"), ""),
    (re.compile(r"零角|零分"), ""),
    (re.compile(r"圆零(?=.[角分])"), "圆"),
    (re.compile(r"(?<=[拾佰仟])([万亿])零(?=.仟)"), r"\1"),
    (re.compile(r"^(负?)零圆(?=.)"), r"\1"),
    (re.compile(r"^(负?)零(?=.分)"), r"\1"),
    (re.compile(r"^(负?)拾"), r"\1壹拾"),
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
    """The amount that words name, or None when they are no amount.

    Every form that occurs on real invoices is read. What was read is written again and must be what was given, but
    for what may be left out; so 玖玖伍拾捌圆整 is not 58, and 万圆整 is nothing.
    """
    text = words.translate(_OTHER_CHARACTERS).strip()
    if len(text) > WORDS_CHARACTERS_MAX:
        return None
    unsigned = text.removeprefix(NEGATIVE).removeprefix("负")
    match = _WORDS.fullmatch(unsigned)
    if match is None or not (match["yuan"] or match["jiao"] or match["fen"]):
        return None
    whole = _read_integer(match["yuan"].removesuffix("圆")) if match["yuan"] else 0
    if whole > WORDS_MAX:
        return None
    fen = whole * 100 + sum(_VALUE[match[part]] * worth for part, worth in (("jiao", 10), ("fen", 1)) if match[part])
    amount = from_fen(fen if unsigned == text else -fen)
    return amount if _shortest(to_words(amount)) == _shortest(text) else None


def _shortest(text: str) -> str:
    """Words without what may be left out."""
    for optional, instead in _OPTIONAL:
        text = optional.sub(instead, text)
    return text


def _read_integer(words: str) -> int:
    """Words of a whole number. Places in an order that no number has give some number; the caller compares."""
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
