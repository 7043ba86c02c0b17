"""Words into terms (词元): what of an invoice's texts is kept so that any part of them can be searched for.

Chinese has no blanks between words, so texts are kept as grams: every character and every two that follow each other.
Runs of Latin letters and digits are kept as every four that follow each other too, and numbers and taxpayer ids as
those alone: of two digits every invoice has nearly all. Width and case do not matter (NFKC, casefold).
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

import msgspec

WORDS_MAX = 8  # of one search; further ones are not looked at
GRAMS_MAX = 24  # of one search that are looked up; more make it no narrower
ID_GRAM = 4

_WORD = re.compile(r"[^\W_]+")
_PLAIN_RUN = re.compile(r"[0-9a-z]+")


def normal(text: str) -> str:
    """A text as it is compared: full-width as half-width, capitals as small letters."""
    return unicodedata.normalize("NFKC", text).casefold()


@lru_cache(maxsize=16_384)
def text_terms(text: str) -> frozenset[str]:
    """The terms of a text: names, goods, remarks. The same names come again and again, so they are remembered."""
    found: set[str] = set()
    for word in _WORD.findall(normal(text)):
        found.update(f"g:{letter}" for letter in word)
        found.update(f"g:{word[at : at + 2]}" for at in range(len(word) - 1))
        for run in _PLAIN_RUN.findall(word):
            found.update(f"g:{run[at : at + ID_GRAM]}" for at in range(len(run) - ID_GRAM + 1))
    return frozenset(found)


def id_terms(text: str) -> set[str]:
    """The terms of a number or a taxpayer id."""
    run = normal(text)
    return {f"g:{run[at : at + ID_GRAM]}" for at in range(len(run) - ID_GRAM + 1)}


class Words(msgspec.Struct, frozen=True):
    """What was typed: words that must all occur, and the terms that every invoice with them has."""

    words: tuple[str, ...]
    terms: tuple[str, ...]
    exact: bool  # whether the terms alone say that the words occur


def words_of(typed: str) -> Words:
    """The words of a search. Signs without a letter or digit among them find nothing and are left out."""
    words = tuple(word for word in normal(typed).split() if _WORD.search(word))[:WORDS_MAX]
    terms: dict[str, None] = {}
    exact = True
    for word in words:
        grams, enough = _grams(word)
        terms.update(dict.fromkeys(grams))
        exact = exact and enough
    kept = tuple(terms)[:GRAMS_MAX]
    return Words(words, kept, exact and len(kept) == len(terms))


def _grams(word: str) -> tuple[list[str], bool]:
    """The fewest terms that a word needs, and whether they alone prove it."""
    grams: list[str] = []
    parts = _WORD.findall(word)
    for part in parts:
        covered: set[int] = set()  # places at which a pair lies within a run that fours stand for
        for run in _PLAIN_RUN.finditer(part):
            if len(run[0]) >= ID_GRAM:
                covered.update(range(run.start(), run.end() - 1))
                grams += [f"g:{run[0][at : at + ID_GRAM]}" for at in range(len(run[0]) - ID_GRAM + 1)]
        grams += [f"g:{part[at : at + 2]}" for at in range(len(part) - 1) if at not in covered]
        if len(part) == 1:
            grams.append(f"g:{part}")
    return grams, len(parts) == 1 and parts[0] == word and len(grams) == 1
