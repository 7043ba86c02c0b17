"""What characters a field may hold, and how many."""

from __future__ import annotations

import re
import unicodedata

from .. import printable
from ..refusal import Refusal

# tax-rules.md, Fields: maximum characters.
NAME_MAX, ID_MAX, ADDRESS_MAX, PHONE_MAX, BANK_MAX, ACCOUNT_MAX = 100, 20, 300, 60, 120, 100
ITEM_MAX, SPEC_MAX, UNIT_MAX, REMARK_MAX, DRAWER_MAX = 200, 100, 50, 200, 100

# Letters and signs that look like nothing: two names could look the same, or one look empty. Among them the selectors
# of variants, which stand after a Han character (U+E0100 and up) or make an emoji of a sign (U+FE0F).
_BLANK = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0")
_SELECTORS = re.compile(r"[\ufe00-\ufe0f\U000e0100-\U000e01ef]")
# Pictures, whatever they show: emoji, symbols, dingbats, and the frame that makes a key of a digit.
_EMOJI = re.compile(r"[\u20e3\u231a\u231b\u2328\u23cf\u23e9-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")


def check(text: str, field: str, length_max: int, *, required: bool = False) -> list[Refusal]:
    """What is wrong with a text, with the field's path.

    TEXT-EMPTY, TEXT-TOO-LONG, TEXT-ANGLE-BRACKET, TEXT-EMOJI, TEXT-CONTROL or TEXT-NOT-PRINTABLE.
    """
    refusals = []
    if required and not text.strip():
        refusals.append(Refusal("TEXT-EMPTY", field))
    if len(text) > length_max:
        refusals.append(Refusal("TEXT-TOO-LONG", field, {"have": str(len(text)), "max": str(length_max)}))
    # What may stand is what the fonts of the PDF can draw; what may not is told apart only after it was found.
    found = printable.refused().search(text)
    if found:
        refusals.append(_refusal(text, found.start(), field))
    return refusals


def _refusal(text: str, place: int, field: str) -> Refusal:
    """Why the character at ``place`` may not stand."""
    letter = text[place]
    code = f"U+{ord(letter):04X}"
    if letter in "<>":
        return Refusal("TEXT-ANGLE-BRACKET", field)
    if _EMOJI.match(letter) or (letter == "\ufe0f" and place and _makes_emoji(text[place - 1])):
        return Refusal("TEXT-EMOJI", field)
    if _is_invisible(letter):
        return Refusal("TEXT-CONTROL", field, {"code": code})
    return Refusal("TEXT-NOT-PRINTABLE", field, {"have": letter, "code": code})


def _makes_emoji(before: str) -> bool:
    """Whether U+FE0F after this character asks for its picture: ☎️, ©️, 1️⃣; never after a letter."""
    return not before.isalpha() and not before.isspace()


def _is_invisible(letter: str) -> bool:
    """Control characters, formats, lone surrogates, strange spaces, noncharacters; private use is something to see."""
    if letter in _BLANK or _SELECTORS.match(letter):
        return True
    category = unicodedata.category(letter)
    return category in ("Cc", "Cf", "Cs", "Zs", "Zl", "Zp") or (
        category == "Cn" and (ord(letter) & 0xFFFE == 0xFFFE or 0xFDD0 <= ord(letter) <= 0xFDEF)
    )
