"""What characters a field may hold, and how many."""

from __future__ import annotations

import re

from ..refusal import Refusal

# tax-rules.md, Fields: maximum characters.
NAME_MAX, ID_MAX, ADDRESS_MAX, PHONE_MAX, BANK_MAX, ACCOUNT_MAX = 100, 20, 300, 60, 120, 100
ITEM_MAX, SPEC_MAX, UNIT_MAX, REMARK_MAX, DRAWER_MAX = 200, 100, 50, 200, 100

# Angle brackets are forbidden by the platform. Control characters, private use and lone surrogates are no text.
# Emoji are text, but no accounting system prints them: refused, while every Chinese character, however rare, passes.
_CONTROL = r"\x00-\x1f\x7f-\x9f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff"
_PRIVATE = r"\ud800-\udfff\ue000-\uf8ff\U000f0000-\U0010ffff"
_EMOJI = r"\ufe0f\u20e3\U0001f000-\U0001faff\U000e0000-\U000e0fff"
_FORBIDDEN = re.compile(f"[<>{_CONTROL}{_PRIVATE}{_EMOJI}]")
_IS_EMOJI = re.compile(f"[{_EMOJI}]")


def check(text: str, field: str, length_max: int, *, required: bool = False) -> list[Refusal]:
    """TEXT-EMPTY, TEXT-TOO-LONG, TEXT-ANGLE-BRACKET, TEXT-EMOJI or TEXT-CONTROL, with the field's path."""
    refusals = []
    if required and not text.strip():
        refusals.append(Refusal("TEXT-EMPTY", field))
    if len(text) > length_max:
        refusals.append(Refusal("TEXT-TOO-LONG", field, {"have": str(len(text)), "max": str(length_max)}))
    found = _FORBIDDEN.search(text)
    if found:
        letter = found.group()
        if letter in "<>":
            refusals.append(Refusal("TEXT-ANGLE-BRACKET", field))
        elif _IS_EMOJI.match(letter):
            refusals.append(Refusal("TEXT-EMOJI", field))
        else:
            refusals.append(Refusal("TEXT-CONTROL", field, {"code": f"U+{ord(letter):04X}"}))
    return refusals
