"""Pinyin initials (拼音首字母): ``武汉某某`` is found by ``whmm``.

The table is made by ``scripts/build_initials.py``; a character with several common sounds gives several readings.
"""

from __future__ import annotations

import unicodedata
from functools import cache
from importlib import resources
from itertools import product

_FIRST = 0x4E00
CHARACTERS_MAX = 30  # of a name, the rest is not read
READINGS_MAX = 8  # of one name


def initials(name: str) -> str:
    """Every reading of a name, lower case, a blank between two; Latin letters and digits stand for themselves."""
    letters, several = _table()
    choices = []
    for character in unicodedata.normalize("NFKC", name).lower()[:CHARACTERS_MAX]:
        place = ord(character) - _FIRST
        if character.isascii():
            choices.append(character if character.isalnum() else "")
        elif character in several:
            choices.append(several[character])
        elif 0 <= place < len(letters) and letters[place] != ".":
            choices.append(letters[place])
    kept = [choice for choice in choices if choice]
    readings = ("".join(one) for one in product(*kept))
    return " ".join(one for one, _ in zip(readings, range(READINGS_MAX), strict=False) if one)


@cache
def _table() -> tuple[str, dict[str, str]]:
    text = (resources.files(__package__) / "data" / "initials.txt").read_text(encoding="utf-8")
    letters, *several = text.splitlines()
    return letters, {line[0]: line[1:] for line in several}
