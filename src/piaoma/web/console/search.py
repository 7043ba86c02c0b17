"""The search form above a list, read from the address: so a search can be bookmarked and sent to a colleague."""

from __future__ import annotations

from datetime import date
from urllib.parse import urlencode

from starlette.datastructures import QueryParams

from piaoma.desk.filters import Filter
from piaoma.invoice.money import parse_amount
from piaoma.invoice.refusal import refuse


def read_filter(asked: QueryParams) -> Filter:
    """What is looked for. Raises ``Refused`` at the field: REQUEST-MALFORMED, AMOUNT-…."""
    return Filter(
        text=asked.get("q", ""),
        since=_date(asked.get("since", ""), "since"),
        until=_date(asked.get("until", ""), "until"),
        total_min=parse_amount(asked["min"], "min") if asked.get("min") else None,
        total_max=parse_amount(asked["max"], "max") if asked.get("max") else None,
    )


def onward(asked: QueryParams) -> str:
    """The same search as part of an address, without the place in the list."""
    return urlencode([(key, value) for key, value in asked.items() if key != "cursor" and value])


def _date(text: str, field: str) -> date | None:
    try:
        return date.fromisoformat(text) if text else None
    except ValueError:
        raise refuse("REQUEST-MALFORMED", field, have=text[:20]) from None
