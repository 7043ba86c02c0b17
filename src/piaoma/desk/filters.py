"""What a list is searched by (查找): words, dates, amounts. What a person typed is only ever a value."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from decimal import Decimal

import msgspec

from piaoma.invoice.money import to_fen

TEXT_MAX = 100  # characters of the words


class Filter(msgspec.Struct, frozen=True):
    """What to look for; empty fields do not matter. Dates (Asia/Shanghai) and amounts (yuan) include both ends."""

    text: str = ""
    since: date | None = None
    until: date | None = None
    total_min: Decimal | None = None
    total_max: Decimal | None = None


def like(wanted: str) -> str:
    """A pattern for ``LIKE … ESCAPE '!'`` that finds what a person typed, wherever it stands."""
    escaped = wanted.replace("!", "!!").replace("%", "!%").replace("_", "!_")
    return f"%{escaped}%"


class Conditions:
    """A WHERE clause that grows, with its values."""

    def __init__(self, first: str, value: object) -> None:
        self.values: list[object] = [value]
        self._parts = [first.format("$1")]

    def add(self, condition: str, value: object) -> None:
        """A condition with ``{0}`` where its value belongs."""
        self.values.append(value)
        self._parts.append(condition.format(f"${len(self.values)}"))

    def add_text(self, text: str, columns: Sequence[str]) -> None:
        """The words stand in one of the columns, in any case of Latin letters."""
        wanted = text.strip()[:TEXT_MAX].lower()
        if wanted:
            places = " OR ".join(f"lower({column}) LIKE {{0}} ESCAPE '!'" for column in columns)
            self.add(f"({places})", like(wanted))

    def add_totals(self, wanted: Filter, column: str) -> None:
        """The total lies between the bounds; the column is in fen."""
        if wanted.total_min is not None:
            self.add(f"{column} >= {{0}}", to_fen(wanted.total_min))
        if wanted.total_max is not None:
            self.add(f"{column} <= {{0}}", to_fen(wanted.total_max))

    def __str__(self) -> str:
        return " AND ".join(self._parts)
