"""Tax classification codes (商品和服务税收分类编码): the packaged table, looked up by code and searched by words.

The table is versioned by date, since short names change (einvoice.md §6 [C]). Where its rows come from stands in
docs/classification.md; nothing in it is from memory.
"""

from __future__ import annotations

import csv
import io
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterable
from datetime import date, timedelta
from decimal import Decimal, InvalidOperation
from functools import cache
from importlib import resources
from pathlib import Path

import msgspec

from .refusal import refuse

COLUMNS = (
    "code", "name", "short_name", "rates", "keywords", "initials", "leaf", "valid_from", "valid_to", "source",
)  # fmt: skip
CODE_DIGITS = 19
SEARCH_MAX = 8
SUGGESTIONS_MAX = 3
TYPED_CHARS_MAX = 60  # of what somebody typed, the rest is not looked at
WORD_CHARS_MAX = 24  # of a word that is looked for inside a name of goods; longer ones are only searched
PERIODS_KEPT_MAX = 8  # prepared tables; a table changes a few times a year


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
    leaf: bool = True  # no code lies below it; only leaves may be invoiced
    source: str = ""  # which copy it was taken from, a key of docs/classification.md

    def in_force(self, on: date) -> bool:
        """Whether the entry holds on a day."""
        return self.valid_from <= on and (self.valid_to is None or on <= self.valid_to)


class Classification:
    """A whole table. Looking up is a dictionary's work; searching looks at every leaf, a few milliseconds at most.

    What searching needs is prepared once for each stretch of days on which the table is the same.
    """

    def __init__(self, entries: Iterable[Entry]) -> None:
        self._by_code: dict[str, list[Entry]] = {}
        changes = set()
        for entry in entries:
            self._by_code.setdefault(entry.code, []).append(entry)
            changes.add(entry.valid_from)
            if entry.valid_to is not None and entry.valid_to < date.max:
                changes.add(entry.valid_to + timedelta(days=1))
        self._changes = sorted(changes)
        self._periods: dict[int, _Period] = {}

    def __len__(self) -> int:
        return len(self._by_code)

    @property
    def versions(self) -> list[Entry]:
        """Every version of every code, by code and then by day."""
        return sorted(
            (entry for rows in self._by_code.values() for entry in rows),
            key=lambda entry: (entry.code, entry.valid_from),
        )

    def lookup(self, code: str, on: date) -> Entry | None:
        """The entry of a code on a day, or None."""
        for entry in self._by_code.get(code, ()):
            if entry.in_force(on):
                return entry
        return None

    def entries(self, on: date, *, summaries: bool = False) -> list[Entry]:
        """Every leaf in force on a day, by code; with ``summaries`` the rows above them too."""
        period = self._period(on)
        return list(period.rows if summaries else period.leaves)

    def search(self, text: str, on: date, limit: int = SEARCH_MAX) -> list[Entry]:
        """Leaves that fit what somebody typed: name, a shop's word, pinyin initials or the beginning of a code.

        Several words must all fit. When nothing fits as typed, the leaves whose words stand inside it.
        """
        words = _folded(text).split()
        if not words:
            return []
        period = self._period(on)
        if len(words) == 1 and words[0].isascii() and words[0].isdigit():
            return period.with_prefix(words[0])[:limit]
        ranked = []
        for leaf in period.prepared:
            if all(word in leaf.hay for word in words):
                rank = max(leaf.rank(word) for word in words)
                ranked.append((rank, len(leaf.entry.name), leaf.entry.code, leaf.entry))
        ranked.sort(key=lambda item: item[:3])
        return [item[3] for item in ranked[:limit]] or self.suggest(text, on)[:limit]

    def suggest(self, goods_name: str, on: date) -> list[Entry]:
        """Up to three leaves for a typed name of goods: those whose words stand inside it. A person confirms."""
        typed = _folded(goods_name.replace("*", " "))
        if not typed.strip():
            return []
        period = self._period(on)
        scores: dict[str, tuple[int, ...]] = {}
        longest = min(period.word_chars_max, len(typed))
        for start in range(len(typed)):
            for end in range(start + 1, min(start + longest, len(typed)) + 1):
                for position, weight in period.by_word.get(typed[start:end], ()):
                    # The head of a Chinese name stands last, so of two equal words the later one says more.
                    score = (weight > 0, end - start, weight, end)
                    code = period.leaves[position].code
                    scores[code] = max(scores.get(code, (0,)), score)
        best = sorted(scores, key=lambda code: (tuple(-part for part in scores[code]), code))[:SUGGESTIONS_MAX]
        found = [entry for code in best if (entry := self.lookup(code, on)) is not None]
        if found or len(typed.strip()) < 2:
            return found
        whole = typed.strip()
        inside = [leaf.entry for leaf in period.prepared if whole in leaf.hay]
        return sorted(inside, key=lambda entry: (len(entry.name), entry.code))[:SUGGESTIONS_MAX]

    def _period(self, on: date) -> _Period:
        """The table as it is on a day, prepared for searching."""
        number = bisect_right(self._changes, on)
        period = self._periods.get(number)
        if period is None:
            rows = [entry for versions in self._by_code.values() for entry in versions if entry.in_force(on)]
            period = _Period(sorted(rows, key=lambda entry: entry.code))
            while len(self._periods) >= PERIODS_KEPT_MAX:
                self._periods.pop(next(iter(self._periods)), None)
            self._periods[number] = period
        return period


class _Leaf:
    """A leaf with its texts folded for comparing, each text on a line of its own."""

    __slots__ = ("entry", "hay", "initials", "own", "short_name", "words")

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.short_name = _folded(entry.short_name)
        self.initials = entry.initials
        self.words = (_folded(entry.name), *(_folded(word) for word in entry.keywords))
        self.own = "\n".join(("", *self.words, ""))
        self.hay = f"{self.own}{self.short_name}\n{self.initials}"

    def rank(self, word: str) -> int:
        """How well a word that stands in the leaf's texts fits; 0 is best."""
        if word in self.own:
            if f"\n{word}\n" in self.own:
                return 0
            return 2 if f"\n{word}" in self.own else 4
        if word == self.short_name:
            return 1
        if self.initials.startswith(word):
            return 2 if word == self.initials else 3
        return 5


class _Period:
    """The rows in force over a stretch of days: sorted, and with an index of the leaves' words."""

    def __init__(self, rows: list[Entry]) -> None:
        self.rows = rows
        self.leaves = [entry for entry in rows if entry.leaf]
        self.prepared = [_Leaf(entry) for entry in self.leaves]
        self.by_word: dict[str, list[tuple[int, int]]] = {}
        for position, leaf in enumerate(self.prepared):
            self._index(leaf.short_name, position, 0)
            for word in dict.fromkeys(leaf.words):
                self._index(word, position, 1)
        self.word_chars_max = max(map(len, self.by_word), default=0)
        self._codes = [entry.code for entry in self.leaves]

    def _index(self, word: str, position: int, weight: int) -> None:
        if 0 < len(word) <= WORD_CHARS_MAX:
            self.by_word.setdefault(word, []).append((position, weight))

    def with_prefix(self, digits: str) -> list[Entry]:
        """The leaves whose code begins with some digits."""
        return self.leaves[bisect_left(self._codes, digits) : bisect_left(self._codes, digits + ":")]


def _folded(text: str) -> str:
    """Full-width forms and capitals made alike, and no more of it than is looked at."""
    return unicodedata.normalize("NFKC", text[:TYPED_CHARS_MAX]).strip().lower()


def load(own: Path | None = None) -> Classification:
    """The packaged table, with an office's own table over it when there is one at that path."""
    if own is None or not own.exists():
        return _packaged()
    return Classification(merged(_packaged().versions, read_csv(own.read_text(encoding="utf-8"))))


@cache
def _packaged() -> Classification:
    text = (resources.files(__package__) / "data" / "classification.csv").read_text(encoding="utf-8")
    return Classification(read_csv(text))


def merged(packaged: Iterable[Entry], own: Iterable[Entry]) -> list[Entry]:
    """One table of two: an own row wins from its first day on; packaged words and initials stay.

    What was in force before an own table began stays readable, so an invoice of that time can still be checked.
    """
    ours: dict[str, list[Entry]] = {}
    for entry in own:
        ours.setdefault(entry.code, []).append(entry)
    begins = {code: min(entry.valid_from for entry in rows) for code, rows in ours.items()}
    words: dict[str, Entry] = {}
    rows = []
    for entry in packaged:
        words[entry.code] = entry
        begin = begins.get(entry.code)
        if begin is None:
            rows.append(entry)
        elif entry.valid_from < begin:
            rows.append(closed(entry, begin))
    for versions in ours.values():
        for entry in versions:
            known = words.get(entry.code)
            if known is not None:
                more = tuple(word for word in entry.keywords if word not in known.keywords)
                initials = (known.initials if entry.name == known.name else "") or entry.initials
                entry = msgspec.structs.replace(entry, keywords=known.keywords + more, initials=initials)
            rows.append(entry)
    return rows


def closed(entry: Entry, new_from: date) -> Entry:
    """The entry as it is when something else holds from ``new_from`` on."""
    last = new_from - timedelta(days=1)
    return (
        entry
        if entry.valid_to is not None and entry.valid_to <= last
        else msgspec.structs.replace(entry, valid_to=last)
    )


def read_csv(text: str) -> list[Entry]:
    """Entries from our own CSV form. Raises ``Refused`` CLASSIFICATION-FILE with the line that is wrong."""
    rows = csv.DictReader(io.StringIO(text), strict=True)
    entries: list[Entry] = []
    try:
        if tuple(rows.fieldnames or ()) != COLUMNS:
            raise refuse("CLASSIFICATION-FILE", have="header")
        for row in rows:
            entries.append(_entry(row))
    except (InvalidOperation, ValueError, KeyError, TypeError, csv.Error):
        raise refuse("CLASSIFICATION-FILE", have=f"line {len(entries) + 2}") from None
    return entries


def _entry(row: dict[str, str]) -> Entry:
    code = row["code"]
    if len(code) != CODE_DIGITS or not (code.isascii() and code.isdigit()) or not row["name"] or not row["short_name"]:
        raise ValueError(code)
    return Entry(
        code=code,
        name=row["name"],
        short_name=row["short_name"],
        rates=tuple(Decimal(rate) / 100 for rate in row["rates"].split(";") if rate),
        keywords=tuple(word for word in row["keywords"].split(" ") if word),
        initials=row["initials"],
        leaf={"1": True, "0": False}[row["leaf"]],
        valid_from=date.fromisoformat(row["valid_from"]),
        valid_to=date.fromisoformat(row["valid_to"]) if row["valid_to"] else None,
        source=row["source"],
    )


def write_csv(entries: Iterable[Entry]) -> str:
    """Our own CSV form of a table, by code and then by day; ``read_csv`` gives the same entries back."""
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(COLUMNS)
    for entry in sorted(entries, key=lambda entry: (entry.code, entry.valid_from)):
        rows.writerow(
            (
                entry.code,
                entry.name,
                entry.short_name,
                ";".join(f"{(rate * 100).normalize():f}" for rate in entry.rates),
                " ".join(entry.keywords),
                entry.initials,
                "1" if entry.leaf else "0",
                entry.valid_from.isoformat(),
                entry.valid_to.isoformat() if entry.valid_to else "",
                entry.source,
            )
        )
    return text.getvalue()


def stem(code: str) -> str:
    """The part of a code that says something: one digit, then two for each level. ``3070401000000000000`` → 3070401."""
    end = len(code)
    while end > 1 and code[end - 2 : end] == "00":
        end -= 2
    return code[:end]


def codes_with_more_below(codes: Iterable[str]) -> set[str]:
    """Those of the codes that have another one below them in the tree."""
    stems = {stem(code) for code in codes}
    above = {one[:end] for one in stems for end in range(1, len(one), 2)}
    return {one.ljust(CODE_DIGITS, "0") for one in above & stems}
