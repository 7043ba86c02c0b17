"""Tax classification codes (商品和服务税收分类编码): the packaged table, looked up by code and searched by words.

The table is versioned by date, since short names change (einvoice.md §6 [C]). Where its rows come from stands in
docs/classification.md; nothing in it is from memory.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable
from datetime import date
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources

import msgspec

from .refusal import refuse

COLUMNS = ("code", "name", "short_name", "rates", "keywords", "initials", "valid_from", "valid_to", "source")
SEARCH_MAX = 8


class Entry(msgspec.Struct, frozen=True):
    """One code in force from ``valid_from`` to ``valid_to`` (included, or for ever). Rates as 0.06."""

    code: str
    name: str
    short_name: str
    rates: tuple[Decimal, ...]
    keywords: tuple[str, ...] = ()  # words that shops use; ours, not the table's
    initials: str = ""  # pinyin initials of the name
    valid_from: date = date(2016, 5, 1)
    valid_to: date | None = None
    leaf: bool = True

    def in_force(self, on: date) -> bool:
        """Whether the entry holds on a day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


class Classification:
    """A whole table. Looking up is a dictionary's work; searching looks at every row, a few milliseconds at most."""

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_code: dict[str, list[Entry]] = {}
        for entry in entries:
            self._by_code.setdefault(entry.code, []).append(entry)

    def __len__(self) -> int:
        return len(self._by_code)

    def lookup(self, code: str, on: date) -> Entry | None:
        """The entry of a code on a day, or None."""
        for entry in self._by_code.get(code, ()):
            if entry.in_force(on):
                return entry
        return None

    def entries(self, on: date) -> list[Entry]:
        """Every entry in force on a day, by code."""
        return sorted(
            (entry for rows in self._by_code.values() for entry in rows if entry.in_force(on)),
            key=lambda entry: entry.code,
        )

    def search(self, text: str, on: date, limit: int = SEARCH_MAX) -> list[Entry]:
        """Leaves that fit what somebody typed: name, a shop's word, pinyin initials or the beginning of a code."""
        typed = text.strip().lower()
        if not typed:
            return []
        ranked = [
            (rank, entry.code, entry)
            for entry in self.entries(on)
            if entry.leaf and (rank := _rank(entry, typed)) is not None
        ]
        ranked.sort(key=lambda item: item[:2])
        return [entry for _, _, entry in ranked[:limit]]

    def suggest(self, goods_name: str, on: date) -> list[Entry]:
        """Up to three leaves for a typed name of goods: those whose words stand inside it. A person confirms."""
        scored = []
        for entry in self.entries(on):
            words = (entry.name, entry.short_name, *entry.keywords)
            hits = [len(word) for word in words if word and (word in goods_name or goods_name in word)]
            if entry.leaf and hits:
                scored.append((-max(hits), entry.code, entry))
        scored.sort(key=lambda item: item[:2])
        return [entry for _, _, entry in scored[:3]]


def _rank(entry: Entry, typed: str) -> int | None:
    """0 is best; None does not fit at all."""
    if typed.isdigit():
        return 0 if entry.code.startswith(typed) else None
    if typed in (entry.name, entry.short_name) or typed in entry.keywords:
        return 0
    if entry.name.startswith(typed) or any(word.startswith(typed) for word in entry.keywords):
        return 1
    if typed in entry.name or typed in entry.short_name or any(typed in word for word in entry.keywords):
        return 2
    if typed.isascii() and entry.initials.startswith(typed):
        return 1
    if typed.isascii() and typed in entry.initials:
        return 3
    return None


@cache
def load() -> Classification:
    """The packaged table."""
    text = (resources.files(__package__) / "data" / "classification.csv").read_text(encoding="utf-8")
    return Classification(read_csv(text))


def read_csv(text: str) -> list[Entry]:
    """Entries from our own CSV form. Raises ``Refused`` CLASSIFICATION-FILE with the line that is wrong."""
    rows = csv.DictReader(io.StringIO(text))
    if tuple(rows.fieldnames or ()) != COLUMNS:
        raise refuse("CLASSIFICATION-FILE", have="header")
    entries = []
    for number, row in enumerate(rows, 2):
        try:
            entries.append(_entry(row))
        except (InvalidOperation, ValueError, KeyError):
            raise refuse("CLASSIFICATION-FILE", have=f"line {number}") from None
    return entries


def _entry(row: dict[str, str]) -> Entry:
    if len(row["code"]) != 19 or not row["code"].isdigit() or not row["name"] or not row["short_name"]:
        raise ValueError(row["code"])
    return Entry(
        code=row["code"],
        name=row["name"],
        short_name=row["short_name"],
        rates=tuple(Decimal(rate) / 100 for rate in row["rates"].split(";") if rate),
        keywords=tuple(word for word in row["keywords"].split(" ") if word),
        initials=row["initials"],
        valid_from=date.fromisoformat(row["valid_from"]),
        valid_to=date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
    )
