"""Characters: what the fonts cannot draw is refused before an invoice is issued, and the table says what they can."""

from __future__ import annotations

import runpy
import timeit
import unicodedata
from pathlib import Path

import pytest

from piaoma.invoice import printable
from piaoma.invoice.classification import load
from piaoma.invoice.rules.text import check

SCRIPT = Path(__file__).parents[2] / "scripts" / "build_printable.py"
TABLE = Path(printable.__file__).with_name("data") / "printable.txt"


def cause_of(text: str) -> str:
    found = check(text, "buyer.name", 300, required=True)
    return found[0].cause if found else ""


def test_the_table_is_what_the_fonts_have() -> None:
    """Made again from the character maps of the fonts that are installed, it is the same to the byte."""
    assert runpy.run_path(str(SCRIPT))["table"]() == TABLE.read_text(encoding="ascii")


@pytest.mark.parametrize(
    "text",
    [
        "𠮷野家（武汉）餐饮有限公司", "䶮㛃喆堃犇鱻龘㼆㵘䲟", "𣲗𬇙𬭼𫖯", "〇二三々〆ー", "神社", "Škoda", "Łódź",
        "Việt Nam", "Ελλάδα", "Жуков", "한국 회사", "①㈱㎡㊣№℃Ⅷ½²", "“引号”……——《书》", "ＡＢＣ１２３（）",
        "a\u3000b\u00a0c", "€£¥＄", "☎ 027-12345678", "♥☆★",
    ],
)  # fmt: skip
def test_what_can_be_printed_passes(text: str) -> None:
    """Rare characters of names, European letters, Korean, signs that shops use."""
    assert cause_of(text) == ""


@pytest.mark.parametrize(
    "letter", ["\U0002a6a5", "\U0002a6d6", "\U00030000", "\U00031350", "ไทย", "﷽", "ש", "हि", "\ufffd"]
)
def test_what_no_font_has_is_refused_and_named(letter: str) -> None:
    """The cause names the character and its code; the sentence can be made in both languages."""
    (refusal,) = check(f"某{letter}公司", "buyer.name", 100)
    code = f"U+{ord(letter[0]):04X}"
    assert (refusal.cause, refusal.field) == ("TEXT-NOT-PRINTABLE", "buyer.name")
    assert refusal.values == {"have": letter[0], "code": code}
    assert code in refusal.what() and code in refusal.what("en") and refusal.remedy() and refusal.remedy("en")


def test_accents_that_pile_up_are_refused() -> None:
    """A letter with its accent is one character; marks that stand alone could run through other rows."""
    assert cause_of("café") == "" and cause_of(unicodedata.normalize("NFD", "café")) == "TEXT-NOT-PRINTABLE"


@pytest.mark.parametrize("text", ["😀", "❤", "❤️", "⭐", "✅", "⚽", "⌚", "⬛", "1️⃣", "☎️", "🄰", "🇨🇳", "👍🏽", "👨‍👩‍👧"])
def test_pictures_are_refused_as_pictures(text: str) -> None:
    """Emoji, alone and put together, and symbols that are used as such."""
    assert cause_of(f"好公司{text}") == "TEXT-EMOJI"


INVISIBLE = (
    "\u2060\u00ad\u180e\u2800\u3164\u115f\u1160\uffa0\u034f\u061c\u200b\u200d\u200e\u202e\u2066\ufeff\ufe00\ufe0f"
    "\U000e0100\U000e01ef\U000e0041\u2028\u0000\u007f\u0085\ufff9\ufdd0\ufffe\ud800\u2009\u206f\u17b4\u180b"
)


@pytest.mark.parametrize("letter", INVISIBLE, ids=[f"U+{ord(letter):04X}" for letter in INVISIBLE])
def test_what_cannot_be_seen_is_refused(letter: str) -> None:
    """Alone, where a name would look empty, and between letters, where two names would look the same."""
    assert cause_of(letter) in ("TEXT-CONTROL", "TEXT-EMPTY")
    assert cause_of(f"公{letter}司") == "TEXT-CONTROL"


def test_a_variant_selector_is_no_emoji() -> None:
    """葛󠄀: the selector is named, so that it can be removed."""
    (refusal,) = check("葛\U000e0100饰", "buyer.name", 100)
    assert (refusal.cause, refusal.values) == ("TEXT-CONTROL", {"code": "U+E0100"})


def test_blank_text_is_empty() -> None:
    """Spaces of every width that can be printed."""
    assert cause_of(" \u3000\u00a0") == "TEXT-EMPTY"


def test_every_name_of_the_table_of_codes_can_be_printed() -> None:
    """The short name is printed before the item's, whatever the merchant typed."""
    for entry in load().versions:
        assert cause_of(entry.short_name) == "", entry.code


def test_every_han_character_of_the_basic_block_passes() -> None:
    """20,992 of them, and all of extension A: nothing that a Chinese keyboard gives is refused."""
    for first, last in ((0x4E00, 0x9FFF), (0x3400, 0x4DBF)):
        assert printable.refused().search("".join(map(chr, range(first, last + 1)))) is None


def test_a_check_costs_a_microsecond() -> None:
    """It stands about twelve times in the way of an invoice. Bounded loosely, since machines differ."""
    seconds = min(timeit.repeat(lambda: check("武汉某某科技有限公司", "buyer.name", 100), number=2_000, repeat=5))
    assert seconds / 2_000 < 20e-6
