"""Taxpayer ids (纳税人识别号): normalising, checking, explaining and masking them.

Source: GB 32100-2015 for the 18-character 统一社会信用代码 [C]; older ids of 15, 17 and 20 characters still exist and
carry no check character (einvoice.md §5).
"""

from __future__ import annotations

import re
import unicodedata
from calendar import monthrange
from functools import lru_cache
from operator import mul

from .refusal import Refusal

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VALUE = {letter: value for value, letter in enumerate(ALPHABET)}
_WEIGHTS = tuple(pow(3, place, 31) for place in range(17))
_ALLOWED = re.compile(r"[0-9A-Z]+")
_CREDIT_CODE = re.compile(f"[{ALPHABET}]{{18}}")
LENGTHS = range(15, 21)

_ID_CARD = re.compile(r"[0-9]{17}[0-9X]")
_ID_CARD_WEIGHTS = tuple(pow(2, 17 - place, 11) for place in range(17))
_ID_CARD_CHECK = "10X98765432"

# The code has no I, O, S, V, Z: who types one means the letter's look-alike.
_LOOK_ALIKE = str.maketrans("IOSVZ", "105U2")


def normalise(text: str) -> str:
    """Upper case, half width, without spaces and dashes; nothing else is changed."""
    folded = unicodedata.normalize("NFKC", text).upper()
    return "".join(letter for letter in folded if not letter.isspace() and letter not in "-‐‑–—")


def check_character(first_17: str) -> str:
    """The 18th character that GB 32100-2015 gives to 17 characters of its alphabet."""
    assert len(first_17) == 17, "each character has its weight"
    return ALPHABET[-sum(map(mul, map(_VALUE.__getitem__, first_17), _WEIGHTS)) % 31]


def check(taxpayer_id: str, field: str) -> Refusal | None:
    """What is wrong with a normalised id, or None. Only 18 characters can be checked further than their form.

    18 characters are a credit code or an id card, whoever gives it: individual traders were registered under their
    owner's id card, so one does not make its holder a person here. Who may not have one asks ``is_id_card``.
    Causes: TITLE-ID-CHARACTER, TITLE-ID-LENGTH, TITLE-ID-CHECKSUM.
    """
    if not _ALLOWED.fullmatch(taxpayer_id):
        wrong = next((letter for letter in taxpayer_id if not _ALLOWED.fullmatch(letter)), "")
        return Refusal("TITLE-ID-CHARACTER", field, {"have": wrong})
    if len(taxpayer_id) not in LENGTHS:
        return Refusal("TITLE-ID-LENGTH", field, {"have": str(len(taxpayer_id))})
    if len(taxpayer_id) != 18:
        return None
    if is_credit_code(taxpayer_id) or is_id_card(taxpayer_id):
        return None
    place, suspect = _suspect(taxpayer_id)
    return Refusal("TITLE-ID-CHECKSUM", field, {"place": place, "suspect": suspect})


@lru_cache(maxsize=4096)
def is_credit_code(text: str) -> bool:
    """Whether 18 characters are a 统一社会信用代码 whose check character holds."""
    return _CREDIT_CODE.fullmatch(text) is not None and check_character(text[:17]) == text[17]


def is_id_card(text: str) -> bool:
    """Whether 18 characters are a person's id card number (GB 11643): a birthday, and a check character that holds.

    The few numbers that are a credit code as well count as that: companies give their id far more often.
    """
    if not _ID_CARD.fullmatch(text) or not _is_birthday(text[6:14]):
        return False
    total = sum(int(digit) * weight for digit, weight in zip(text[:17], _ID_CARD_WEIGHTS, strict=True))
    return _ID_CARD_CHECK[total % 11] == text[17] and not is_credit_code(text)


def _is_birthday(text: str) -> bool:
    """Whether eight digits are a day on which a holder may have been born; leap years of those days included."""
    year, month, day = int(text[:4]), int(text[4:6]), int(text[6:])
    return 1900 <= year < 2100 and 1 <= month <= 12 and 1 <= day <= monthrange(year, month)[1]


def repair(taxpayer_id: str) -> str | None:
    """The id with look-alike letters replaced, when that alone makes its check character hold; otherwise None.

    The caller shows the repaired id and says so; nothing is changed silently.
    """
    repaired = taxpayer_id.translate(_LOOK_ALIKE)
    return repaired if repaired != taxpayer_id and is_credit_code(repaired) else None


def _suspect(text: str) -> tuple[str, str]:
    """Which character looks wrong, counted from 1: one outside the alphabet, else two neighbours whose exchange mends
    the id."""
    for place, letter in enumerate(text, 1):
        if letter not in _VALUE:
            return str(place), letter
    for place in range(17):
        swapped = text[:place] + text[place + 1] + text[place] + text[place + 2 :]
        if swapped != text and is_credit_code(swapped):
            return f"{place + 1}–{place + 2}", text[place : place + 2]
    return "18", text[17]


def grouped(taxpayer_id: str) -> str:
    """In groups of four, to be read aloud: ``9142 0100 MA4K …``."""
    return " ".join(taxpayer_id[start : start + 4] for start in range(0, len(taxpayer_id), 4))


def mask_name(name: str) -> str:
    """A name as a stranger may see it: first character and the kind of company, 武****公司; 个人 stays."""
    if name == "个人" or len(name) <= 1:
        return name
    tail = next((end for end in ("公司", "中心", "学校", "医院", "事务所") if name.endswith(end)), "")
    if len(name) - len(tail) <= 1:
        return name[0] + "****"
    return f"{name[0]}****{tail}"
