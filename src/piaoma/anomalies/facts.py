"""What a rule is given, and what it gives: the facts of one merchant and day, and findings."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal

import msgspec

from piaoma.invoice.money import format_yuan, from_fen

NUMBERS_MAX = 200  # invoices that a finding keeps; its count says how many there are


class Sale(msgspec.Struct, frozen=True):
    """An invoice of the day. ``made_at`` is when the shop made its code, or when it was issued without one;
    ``device`` what the customer confirmed with, empty when the shop issued it; ``total`` tax-inclusive fen."""

    number: str
    total: int
    issued_at: datetime
    made_at: datetime
    buyer: str
    device: str = ""

    @property
    def red(self) -> bool:
        return self.total < 0


class Failure(msgspec.Struct, frozen=True):
    """An attempt to issue that was refused: why, and when."""

    cause: str
    at: datetime


class Quota(msgspec.Struct, frozen=True):
    """A month's quota in fen, tax-exclusive, and the day on which the outlook says that it is gone."""

    month: str
    limit: int
    used: int
    runs_out: date | None


class Facts(msgspec.Struct, frozen=True):
    """One merchant's day.

    ``weekdays`` are the totals (fen) of the same weekday in the four weeks before, days without trade left out;
    ``usual`` the average invoice (fen) of those four weeks and ``usual_count`` of how many. ``unknown`` are issues
    whose outcome is open, by key, with since when; ``dead`` numbers of invoices whose delivery failed for good.
    ``numbers_left`` is None unless the channel gave no more when it was asked. ``last_issued`` may lie in the future.
    """

    now: datetime
    sales: tuple[Sale, ...] = ()
    weekdays: tuple[int, ...] = ()
    usual: int = 0
    usual_count: int = 0
    failures: tuple[Failure, ...] = ()
    unknown: tuple[tuple[str, datetime], ...] = ()
    dead: tuple[str, ...] = ()
    quota: Quota | None = None
    numbers_left: int | None = None
    last_issued: datetime | None = None

    @property
    def day(self) -> str:
        return self.now.date().isoformat()

    @property
    def blue(self) -> list[Sale]:
        return [sale for sale in self.sales if not sale.red]


class Finding(msgspec.Struct, frozen=True):
    """Something to look at. ``period`` and ``subject`` make it one and the same however often it is found; ``figures``
    are what its sentence says; ``numbers`` the very invoices, ``NUMBERS_MAX`` at most of ``count``."""

    rule: str
    period: str
    subject: str
    figures: Mapping[str, str]
    numbers: tuple[str, ...] = ()
    count: int = 0

    @property
    def finding_id(self) -> str:
        """The same for ever; it shows neither a buyer nor a device."""
        mark = hashlib.sha256(f"{self.rule}\n{self.period}\n{self.subject}".encode()).hexdigest()[:16]
        return f"{self.rule}-{self.period}-{mark}"


def finding(rule: str, period: str, sales: Iterable[Sale] = (), subject: str = "", **figures: object) -> Finding:
    """A finding about invoices, with its figures as texts."""
    numbers = [sale.number for sale in sales]
    told = {name: str(value) for name, value in figures.items()}
    return Finding(rule, period, subject, told, tuple(numbers[:NUMBERS_MAX]), len(numbers))


def yuan(fen: int) -> str:
    """An amount as findings say it: ``1,280.00``."""
    return format_yuan(from_fen(fen))


def fen(yuan_: int | Decimal) -> int:
    """A threshold in yuan, to compare with."""
    return int(yuan_ * 100)
