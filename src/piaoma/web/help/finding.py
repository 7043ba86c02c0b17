"""Search in the help (帮助搜索): by cause code, symptom, or the pinyin of either, the likeliest first.

Small on purpose: a few hundred entries, scored one by one at each search. Chinese is cut into pairs of characters,
since people do not type blanks; letters are also taken as pinyin, whole or initials, from a table that the tests
compare with a dictionary.
"""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable
from functools import cache
from importlib import resources

import msgspec

from piaoma.invoice.refusal import Language, causes

from .guides import guides

QUERY_MAX = 80  # characters of a search
FOUND_MAX = 20  # entries shown
_CODE_LIKENESS = 0.75  # of a mistyped cause code and the right one

_HAN = re.compile(r"[\u4e00-\u9fff]")
_PIECES = re.compile(r"[\u4e00-\u9fff]+|[A-Za-z0-9]+")
# Weights of where something is found: its title, the words people use for it, all its text.
_TITLE, _FIND, _TEXT = 6.0, 5.0, 1.0
_FAQ_FIRST = 1.3  # a page that can check beats one that only tells


class Entry(msgspec.Struct, frozen=True):
    """Something that can be found: a guide by its name or a cause by its code."""

    name: str
    title: str
    line: str
    find: str
    text: str
    weight: float
    sounds: tuple[str, ...]


@cache
def entries(language: Language) -> tuple[Entry, ...]:
    """Everything that can be found, in the words of one language; the other language's words find it too."""
    other: Language = "en" if language == "zh" else "zh"
    found = []
    for name, one in guides(language).items():
        twin = guides(other)[name]
        find = f"{one.find} {twin.title}"
        chinese = one if language == "zh" else twin
        weight = _FAQ_FIRST if one.kind == "faq" else 1.0
        found.append(Entry(name, one.title, one.line, find, f"{one.line} {one.text} {twin.line}", weight,
                           sounds_of(f"{chinese.title} {one.find}")))  # fmt: skip
    for code, cause in causes().items():
        title, line = (cause.zh, cause.remedy_zh) if language == "zh" else (cause.en, cause.remedy_en)
        twin_title = cause.en if language == "zh" else cause.zh
        found.append(Entry(code, _blank(title), _blank(line), f"{code} {code.replace('-', ' ')}",
                           f"{_blank(line)} {_blank(twin_title)}", 0.8, sounds_of(cause.zh)))  # fmt: skip
    return tuple(found)


def search(query: str, language: Language) -> list[Entry]:
    """What fits, the likeliest first; nothing for an empty query."""
    query = " ".join(query.split())[:QUERY_MAX].lower()
    pieces = list(_cut(query))
    if not pieces:
        return []
    scored = [(_score(query, pieces, one), place, one) for place, one in enumerate(entries(language))]
    best = sorted(((-score, place, one) for score, place, one in scored if score > 0), key=lambda item: item[:2])
    found = [one for _, _, one in best[:FOUND_MAX]]
    if not query.isascii():
        return found
    # A code read off a receipt or a screen is often a letter wrong.
    near = difflib.get_close_matches(query.upper(), causes(), 3, _CODE_LIKENESS)
    by_name = {one.name: one for one in entries(language)}
    first = [by_name[code] for code in near]
    return [*first, *(one for one in found if one not in first)][:FOUND_MAX]


def _cut(text: str) -> Iterable[str]:
    """Words of letters whole, Chinese as overlapping pairs."""
    for piece in _PIECES.findall(text):
        if _HAN.match(piece) and len(piece) > 2:
            yield from (piece[place : place + 2] for place in range(len(piece) - 1))
        else:
            yield piece


def _score(query: str, pieces: list[str], one: Entry) -> float:
    if query.upper() == one.name.upper():
        return 1000.0
    score = 0.0
    for place, text in ((_TITLE, one.title), (_FIND, one.find), (_TEXT, one.text)):
        lowered = text.lower()
        if len(query) > 1 and query in lowered:
            score += 4 * place
        score += place * sum(_holds(lowered, piece) for piece in pieces) / len(pieces)
    letters = query.replace(" ", "")
    if letters.isascii() and letters.isalpha() and len(letters) > 1:
        score += max((_sound_score(letters, sound) for sound in one.sounds), default=0.0)
    elif score < _TEXT:
        return 0.0
    return score * one.weight if score >= _TEXT / 2 else 0.0


def _holds(text: str, piece: str) -> bool:
    """Whether a piece stands in a text: Chinese anywhere, letters at the beginning of a word."""
    if not piece.isascii():
        return piece in text
    return re.search(rf"(?<![a-z0-9]){re.escape(piece)}", text) is not None


def _sound_score(letters: str, sound: str) -> float:
    whole, _, initials = sound.partition("|")
    if whole.startswith(letters) and len(letters) > 2:
        return 20.0 * len(letters) / len(whole) + 5.0
    if initials == letters:
        return 20.0
    return 3.0 * min(len(letters), 3) if initials.startswith(letters) else 0.0


@cache
def _pinyin() -> dict[str, str]:
    text = (resources.files("piaoma.web") / "guides" / "pinyin.txt").read_text(encoding="utf-8")
    return {
        character: sound for sound, _, row in (line.partition(" ") for line in text.splitlines()) for character in row
    }


def sounds_of(text: str) -> tuple[str, ...]:
    """``quanpinyin|initials`` of each Chinese word in a text."""
    table = _pinyin()
    found = []
    for word in re.findall(r"[\u4e00-\u9fff]+", text):
        syllables = [table[character] for character in word if character in table]
        if len(syllables) == len(word):
            found.append(f"{''.join(syllables)}|{''.join(one[0] for one in syllables)}")
    return tuple(dict.fromkeys(found))


def _blank(text: str) -> str:
    """A cause's text without the figures of a case."""
    return re.sub(r"{\w+}", "…", text)
