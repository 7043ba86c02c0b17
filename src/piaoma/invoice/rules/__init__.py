"""Every rule that a draft must keep before it can be issued, each with its own cause code.

``check`` looks at everything and returns all refusals at once. Every figure is first asked whether it can be worked
with at all (``money.is_bounded``), so none from outside makes the arithmetic raise or run away. Sources: tax-rules.md,
with its marks of certainty repeated beside the rule. A blue (正数) draft only; red invoices have rules of their own.
"""

from __future__ import annotations

from datetime import date
from decimal import Decimal
from typing import Protocol

from ..draft import Draft
from ..refusal import Refusal
from . import line, parties, whole


class Entry(Protocol):
    """What the rules need of a classification code (税收分类编码)."""

    @property
    def short_name(self) -> str: ...
    @property
    def rates(self) -> tuple[Decimal, ...]: ...
    @property
    def leaf(self) -> bool: ...


class Catalogue(Protocol):
    """The classification codes in force on a day."""

    def lookup(self, code: str, on: date) -> Entry | None: ...


def check(draft: Draft, on: date, catalogue: Catalogue) -> list[Refusal]:
    """All refusals of a draft that would be issued on a business date (Asia/Shanghai); empty when it may be."""
    unsound = whole.check_figures(draft)
    refusals = [*unsound, *parties.check(draft), *whole.check_shape(draft)]
    if len(draft.lines) > whole.LINES_MAX:
        # Two thousand sentences about single lines would hide the one that matters.
        return refusals
    faulty = len(refusals)
    for place, one in enumerate(draft.lines):
        refusals += line.check(one, place, draft, on, catalogue)
    if draft.lines and not unsound and len(refusals) == faulty:
        # Sums mean something only when every figure does.
        refusals += whole.check_sums(draft)
    return refusals
