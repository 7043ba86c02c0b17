"""What adapters send of an invoice, in words that no provider has: lines, moments, figures."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import msgspec

from piaoma.invoice.draft import LineKind, ZeroKind
from piaoma.invoice.issued import PricedLine
from piaoma.invoice.red import items

from ..contract import RedFormRequest, RemoteRequest


class OrderLine(msgspec.Struct, frozen=True):
    """A line as a provider is told of it: ``name`` without the short name, which the provider puts before it. Money is
    tax-exclusive yuan; ``place`` counts from 1, in a red form among the lines of the blue invoice."""

    place: int
    name: str
    code: str
    rate: Decimal
    amount: Decimal
    tax: Decimal
    quantity: Decimal | None
    unit_price: Decimal | None
    unit: str
    spec: str
    kind: LineKind
    preference: str
    zero: ZeroKind


def lines_of(request: RemoteRequest) -> list[OrderLine]:
    """The lines of an invoice."""
    return [
        _line(place, line, line.amount, line.tax, line.quantity, line.unit_price)
        for place, line in enumerate(request.lines, 1)
    ]


def form_lines(request: RedFormRequest) -> list[OrderLine]:
    """What a red form takes back, by the places of the blue lines."""
    named = items(request.blue)
    return [
        _line(line.place + 1, named[line.place], line.amount, line.tax, line.quantity, None) for line in request.lines
    ]


def written(value: object) -> str:
    """Money in JSON: text of a plain figure, for a binary float would be another amount."""
    if isinstance(value, Decimal):
        return f"{value:f}"
    raise TypeError(f"{type(value).__name__} is not written")


def read_moment(value: object, now: datetime) -> datetime:
    """A moment as providers write it: milliseconds, or a local time with or without signs; else ``now``."""
    text = str(value or "").strip()
    try:
        if text.isdigit() and len(text) == 13:
            return datetime.fromtimestamp(int(text) / 1000, UTC).astimezone(now.tzinfo)
        return datetime.fromisoformat(text).replace(tzinfo=now.tzinfo)
    except ValueError:
        return now


def _line(
    place: int, line: PricedLine, amount: Decimal, tax: Decimal, quantity: Decimal | None, unit_price: Decimal | None
) -> OrderLine:
    return OrderLine(
        place, line.name.rpartition("*")[2] or line.name, line.code, line.rate, amount, tax, quantity, unit_price,
        line.unit, line.spec, line.kind, line.preference, line.zero,
    )  # fmt: skip
